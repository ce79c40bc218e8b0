package source

import (
	"net"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// A conn is one client's connection and what is known about the client.
type conn struct {
	net.Conn
	closed  atomic.Bool   // Close was called: what is left is to store what came before
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the connection's goroutine ends

	number uint64 // counts the connections; set once
	known  bool   // guarded by door.mu: the client has said who it is, and was let in

	frames frames // of the connection's goroutine
	// Of the connection's goroutine, but set before the conn is found in
	// door.clients:
	id, user string
	// Of the connection's goroutine alone: why the client is being
	// disconnected. What it has sent beyond that is not looked at, so that
	// its messages can't overtake the refused one.
	refused error
}

// Read looks at what comes before the library does.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if bad := c.frames.take(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// Close closes the connection; its goroutine ends a little later.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		close(c.closing)
	}
	return c.Conn.Close()
}

// takeoverTimeout is how long a connection that is closed may take to end: a
// commit, and then its will.
const takeoverTimeout = 2 * acceptTimeout

// claim makes c the holder of its client id and ends the connection that was.
// It fails if that is another user's. It waits for the end, so that what the
// older connection still has to store comes before what the new one brings.
func (d *door) claim(c *conn) bool {
	d.mu.Lock()
	older := d.clients[c.id]
	if older != nil && older.user != c.user && !older.closed.Load() {
		d.mu.Unlock()
		return false
	}
	d.clients[c.id] = c
	d.mu.Unlock()
	if older != nil {
		older.Close()
		expired := time.NewTimer(takeoverTimeout)
		defer expired.Stop()
		select {
		case <-older.done:
		case <-expired.C:
			return false
		}
	}
	return true
}

// maxSessions bounds the sessions of clients that are away. A session holds
// nothing but the ids of QoS 2 messages between PUBLISH and PUBREL.
const maxSessions = 256

// tidySessions makes room for one more session and drops what another user has
// left under this client's id.
func (d *door) tidySessions(c *conn) {
	if s, ok := d.server.Clients.Get(c.id); ok && string(s.Properties.Username) != c.user {
		d.server.Clients.Delete(c.id)
	}
	if d.server.Clients.Len() < maxSessions {
		return
	}
	var oldest *mqtt.Client
	for _, s := range d.server.Clients.GetAll() {
		if s.StopTime() != 0 && (oldest == nil || s.StopTime() < oldest.StopTime()) {
			oldest = s
		}
	}
	if oldest != nil {
		d.server.Clients.Delete(oldest.ID)
	}
}
