package sysnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// firstPause is about a local network's round trip.
	firstPause = time.Millisecond
	// lastPause is the latest that an acknowledgement is noticed; it is short beside a mobile link's round trip of 300 ms and more.
	lastPause = 100 * time.Millisecond
)

// ErrNoCount says that the kernel doesn't tell how many bytes are unacknowledged, so that only the broker's answers can
// prove delivery here. It wraps errors.ErrUnsupported.
var ErrNoCount = fmt.Errorf("sysnet: no count of unacknowledged bytes on this system: %w", errors.ErrUnsupported)

// Counts tells whether this system says how many bytes are unacknowledged, by asking it about a connection over loopback. The
// error is [ErrNoCount] where it doesn't.
func Counts() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("sysnet: %w", err)
	}
	defer l.Close()
	var d Dialer
	c, err := d.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = unackedBytes(c.raw)
	return err
}

var errFailed = errors.New("the connection has failed, bytes not acknowledged before may be lost")

// Conn is a TCP connection that knows how much of what was written has arrived. Make one with a Dialer.
type Conn struct {
	net.Conn                 // only the interface: ReadFrom and the like would write past the count
	raw      syscall.RawConn // set once in DialContext

	written atomic.Uint64
	acked   atomic.Uint64 // only grows

	closed chan struct{} // closed, through once, when the first Close has returned
	once   sync.Once
}

var _ net.Conn = (*Conn)(nil)

// Write is net.Conn's; the bytes that it took count as written when it returns, also when it fails in the middle.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	awaitAnswer(c.raw) // what the peer says next is often answered at once, too
	c.written.Add(uint64(n))
	return n, err
}

// Close is net.Conn's. Written bytes still on their way are sent on by the kernel, but whether they arrive is not
// known any more: a WaitAcked for them ends with net.ErrClosed.
func (c *Conn) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	c.count() // what has arrived up to now stays known
	return c.Conn.Close()
}

// Written returns how many bytes Write has taken since the connection stood. It doesn't block.
func (c *Conn) Written() uint64 { return c.written.Load() }

// Acked returns how many of the written bytes the peer's TCP has acknowledged. It asks the kernel and doesn't block.
// It never says more than is proved; while a Write runs it may say less.
func (c *Conn) Acked() uint64 {
	acked, _ := c.count()
	return acked
}

// WaitAcked blocks until the first offset bytes are acknowledged, which is noticed at most 100 ms late. It returns
// an error when ctx ends first (ctx's own), the connection is closed (net.ErrClosed) or has failed, or when the
// system has no count (ErrNoCount).
func (c *Conn) WaitAcked(ctx context.Context, offset uint64) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		acked, err := c.count()
		if acked >= offset {
			return nil
		}
		if err != nil {
			return c.opError("wait", err)
		}
		select {
		case <-ctx.Done():
			return c.opError("wait", ctx.Err())
		case <-c.closed:
		case <-time.After(pause):
		}
	}
}

// count brings acked up to date and returns it. An error says that it won't grow any more.
func (c *Conn) count() (uint64, error) {
	// Written is read first: a Write that comes in between then makes the result too small, never too large.
	written := c.written.Load()
	unacked, err := unackedBytes(c.raw)
	if err == nil && unacked <= written {
		c.raise(written - unacked)
	}
	return c.acked.Load(), err
}

func (c *Conn) raise(acked uint64) {
	for old := c.acked.Load(); old < acked; old = c.acked.Load() {
		if c.acked.CompareAndSwap(old, acked) {
			return
		}
	}
}

func (c *Conn) opError(op string, err error) error {
	if errors.Is(err, ErrNoCount) {
		return err
	}
	if errors.Is(err, net.ErrClosed) {
		err = net.ErrClosed // without the kernel call that found it out
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
