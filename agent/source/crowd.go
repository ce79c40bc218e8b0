package source

import (
	"errors"
	"net"

	"github.com/mochi-mqtt/server/v2/packets"
)

// A client that has not said who it is keeps nobody out: when all places are taken, it loses its own to the next one that
// comes. Of the addresses that hold most such places the oldest connection goes, so that one machine that opens
// connections without end doesn't displace the others' while they log in.

// makeRoom takes the place of a connection that has not been let in yet. It reports whether there was one. Its caller holds d.mu.
func (d *door) makeRoom() bool {
	from := make(map[string]int)
	for c := range d.conns {
		if !c.known {
			from[c.host()]++
		}
	}
	var out *conn
	for c := range d.conns {
		if c.known {
			continue
		}
		if out == nil || from[c.host()] > from[out.host()] || from[c.host()] == from[out.host()] && c.number < out.number {
			out = c
		}
	}
	if out == nil {
		return false
	}
	delete(d.conns, out)
	out.Close()
	return true
}

// letIn notes that the client is known; from now on it keeps its place. It reports whether it still had one.
func (d *door) letIn(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.known = d.conns[c]
	return c.known
}

// host returns the address that the client comes from, without its port.
func (c *conn) host() string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return host
}

const (
	// maxControl is for SUBSCRIBE and UNSUBSCRIBE, each of whose filters costs a hundred times its bytes once it is taken
	// apart: as long as a reading they would take 15 MB.
	maxControl = 8 << 10
	// maxFilters of one client are far more than there are commands.
	maxFilters = 64
)

var errControl = errors.New("source: a subscription of more than 8 KiB")

// frames follows the packets in what a client sends, since the library takes a packet apart before it asks anybody.
type frames struct {
	left   int // bytes of the packet that are still to come
	begun  bool
	kind   byte
	length int
	shift  uint
}

// take looks at the next bytes. An error means that they must not reach the library.
func (f *frames) take(b []byte) error {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]
			continue
		}
		if !f.begun {
			*f = frames{begun: true, kind: b[0] >> 4}
			b = b[1:]
			continue
		}
		f.length |= int(b[0]&0x7f) << f.shift
		f.shift += 7
		more := b[0]&0x80 != 0
		b = b[1:]
		if more {
			if f.shift > 21 { // more than four bytes of length; the library says no to that
				return nil
			}
			continue
		}
		f.begun, f.left = false, f.length
		if (f.kind == packets.Subscribe || f.kind == packets.Unsubscribe) && f.length > maxControl {
			return errControl
		}
	}
	return nil
}
