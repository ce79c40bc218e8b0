package mqttconn

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// errEnded is all that Paho ever learns of an error. The cause is kept elsewhere, since Paho looks into error texts and
// overlooks the end of a connection if it finds the text of [net.ErrClosed] in it.
var errEnded = errors.New("mqttconn: connection ended")

// guard is the connection that Paho sees. It looks at every packet in both directions and keeps the ledger up to date.
//
// Paho writes from several goroutines, so Write only appends the packet to the outbound queue and never blocks; what is
// queued is bounded by the publish window. One goroutine of the session writes ([guard.send]), one of Paho's reads.
type guard struct {
	lower   *lowerConn
	conn    net.Conn // lower, or TLS over it
	ledger  *ledger
	air     *Air
	journal Journal
	fail    func(error)

	writeTimeout time.Duration
	maxInbound   int
	oversize     func(topic string, size int)

	// Reader goroutine only.
	in     *bufio.Reader
	buf    []byte // of the frame being handed to Paho
	unread []byte // the part of it that Paho has not read

	wake    chan struct{} // capacity 1: queue has grown
	stirred chan struct{} // capacity 1: a silence has ended
	flushed chan struct{} // closed when DISCONNECT has been written

	mu      sync.Mutex // guards what follows; never held across I/O or channel operations that block
	queue   []packet
	leaving bool // DISCONNECT is queued or written
	ended   bool
	connack *connack
	topics  map[uint16]int // SUBSCRIBE on its way: packet id → topics; 0: UNSUBSCRIBE
	ping    pinger
	stats   Stats // Pings, PingBytes and Oversize
}

// connack is what the broker said to CONNECT.
type connack struct {
	code    byte
	present bool
}

var _ net.Conn = (*guard)(nil)

func newGuard(lower *lowerConn, conn net.Conn, cfg Config, l *ledger, fail func(error)) *guard {
	return &guard{
		lower: lower, conn: conn, ledger: l, air: cfg.Air, journal: cfg.Journal, fail: fail,
		writeTimeout: cfg.WriteTimeout, maxInbound: cfg.MaxInbound, oversize: cfg.Oversize,
		ping: pinger{after: cfg.PingAfter, most: cfg.KeepAlive, timeout: cfg.PingTimeout, heard: cfg.Heard},
		in:   bufio.NewReaderSize(conn, 2048),
		wake: make(chan struct{}, 1), stirred: make(chan struct{}, 1), flushed: make(chan struct{}),
		topics: make(map[uint16]int),
	}
}

// Read hands Paho one checked packet after the other.
func (g *guard) Read(p []byte) (int, error) {
	for len(g.unread) == 0 {
		if g.hello() == nil {
			if err := g.greeted(); err != nil {
				g.fail(err)
				return 0, errEnded
			}
		}
		f, skip, err := readFrame(g.in, g.maxInbound, g.buf)
		if err != nil {
			return 0, g.readFailed(err)
		}
		g.buf = f.bytes
		g.answered()
		if skip > 0 {
			if err := g.readPast(f, skip); err != nil {
				return 0, g.readFailed(err)
			}
			g.air.count(func(c *AirCounts) { c.MQTT.Down += int64(len(f.bytes) + skip) })
			continue
		}
		pass, err := g.inspect(f)
		if err != nil {
			g.fail(err)
			return 0, errEnded
		}
		g.air.received(f)
		if pass {
			g.unread = f.bytes
		}
	}
	n := copy(p, g.unread)
	g.unread = g.unread[n:]
	return n, nil
}

func (g *guard) readFailed(err error) error {
	g.mu.Lock()
	leaving := g.leaving
	g.mu.Unlock()
	if !leaving {
		g.fail(newError("session", fmt.Errorf("connection to %s lost: %w", g.lower.RemoteAddr(), err)))
	}
	return errEnded
}

// Close is called by Paho: after DISCONNECT, which the writer still has to send, or because it gives the connection up.
func (g *guard) Close() error {
	g.mu.Lock()
	leaving := g.leaving
	g.mu.Unlock()
	if leaving {
		// Paho's reader has to go while the writer finishes.
		_ = g.conn.SetReadDeadline(time.Unix(1, 0))
		return nil
	}
	g.fail(&Error{Op: "session", Cause: CauseNetwork, Err: errors.New("the MQTT client gave the connection up")})
	return nil
}

// end makes Write refuse packets and the writer stop.
func (g *guard) end() {
	g.mu.Lock()
	g.ended = true
	g.queue = nil
	g.mu.Unlock()
	signal(g.wake)
}

// hello is the broker's answer to CONNECT, nil before it came.
func (g *guard) hello() *connack {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.connack
}

func (g *guard) snapshot() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats
}

func (g *guard) LocalAddr() net.Addr  { return g.lower.LocalAddr() }
func (g *guard) RemoteAddr() net.Addr { return g.lower.RemoteAddr() }

// Paho sets deadlines around CONNECT only; the session bounds everything itself, by closing the connection.
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }
