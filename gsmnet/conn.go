package gsmnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

var _ net.Conn = (*Conn)(nil)

const (
	// sendBuffer is what Write may leave behind for the next sends: two full ones, so that one can be gathered while one is on
	// the serial line, and no more, so that what is written last does not wait behind minutes of radio time.
	sendBuffer = 2 * maxSend
	// readBuffer is what is taken from the module ahead of Read. Beyond it the data stays in the module, whose TCP slows the peer.
	readBuffer = 8192
)

// Conn is a TCP connection inside the module, or a UDP socket that sends to one address. All its methods may be called concurrently.
//
// Write returns when the bytes are in the send buffer; it blocks while that is full. Acked tells how many bytes the peer's TCP
// has acknowledged. Each Conn is one generation: its counts begin at 0 and end with it.
//
// Over UDP a Write is one datagram of at most 1460 bytes (G4.1) and a Read takes one, of which it drops what doesn't fit; one of more
// than 1024 bytes may come in parts (G5.4). Nothing is acknowledged there (G4.6).
type Conn struct {
	m             *Modem
	network       string
	local, remote net.Addr

	mu       sync.Mutex     // never held across anything that blocks
	out      []byte         // guarded by mu: written, not yet in the module
	in       []byte         // guarded by mu: received, not yet read
	outEnds  []int          // guarded by mu: over UDP, the lengths of the datagrams in out
	inEnds   []int          // guarded by mu: over UDP, the lengths of those in in
	written  uint64         // guarded by mu
	peer     netip.AddrPort // guarded by mu: who the received data is from
	ends     []uint64       // guarded by mu: where each Write in out ends, as offsets like written
	acked    uint64         // guarded by mu
	waits    []uint64       // guarded by mu: the offsets that somebody waits for in WaitAcked
	writing  bool           // guarded by mu: a Write is under way; the next waits, so that their bytes don't mix
	closed   bool           // guarded by mu: by Close
	readErr  error          // guarded by mu: what Read returns when in is empty
	writeErr error          // guarded by mu: what Write and WaitAcked return
	oldest   time.Time      // guarded by mu: when the first byte of out was written
	readBy   time.Time      // guarded by mu: deadline
	writeBy  time.Time      // guarded by mu: deadline
	readable waiters        // guarded by mu
	writable waiters        // guarded by mu
	progress waiters        // guarded by mu
}

// waiters is a condition that can be waited for beside other channels.
type waiters struct{ c chan struct{} }

func (w *waiters) wait() <-chan struct{} {
	if w.c == nil {
		w.c = make(chan struct{})
	}
	return w.c
}

func (w *waiters) wake() {
	if w.c != nil {
		close(w.c)
		w.c = nil
	}
}

func newConn(m *Modem, t target, local netip.Addr) *Conn {
	c := &Conn{m: m, network: t.network, remote: t.addr(), out: make([]byte, 0, sendBuffer)}
	if c.datagrams() {
		c.local = &net.UDPAddr{IP: local.AsSlice()}
	} else {
		c.local = &net.TCPAddr{IP: local.AsSlice()}
	}
	return c
}

// LocalAddr is the module's address in the operator's network; its port is not known.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// Peer is the address that the module got for the name that was dialled, or the address that was. It is known, with buffered receive,
// once something was received, and not valid before.
func (c *Conn) Peer() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer
}

// RemoteAddr is the address that was dialled, a *net.TCPAddr or *net.UDPAddr, or an Addr when it was a name.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// Read returns what has been received. The error is io.EOF when the peer has closed and everything was read.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		n, err := c.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			c.mu.Unlock()
			if n > 0 {
				c.m.poke() // there may be room again for what waits in the module
			}
			return n, c.opError("read", err)
		}
		by, ready := c.readBy, c.readable.wait()
		c.mu.Unlock()
		waitUntil(by, ready)
	}
}

// tryRead is called with mu held.
func (c *Conn) tryRead(p []byte) (int, error) {
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case expired(c.readBy):
		return 0, os.ErrDeadlineExceeded
	case len(c.in) > 0:
		n := copy(p, c.in[:c.firstIn()])
		c.takeIn(n)
		return n, nil
	}
	return 0, c.readErr
}

// Write puts p into the send buffer; it blocks while that is full. The bytes of concurrent Writes don't mix.
func (c *Conn) Write(p []byte) (int, error) {
	mine := false
	defer func() {
		if mine {
			c.mu.Lock()
			c.writing = false
			c.writable.wake()
			c.mu.Unlock()
		}
	}()
	if c.datagrams() && len(p) > maxSend {
		return 0, c.opError("write", syscall.EMSGSIZE)
	}
	n := 0
	for {
		c.mu.Lock()
		err := c.writeState()
		if err == nil && (mine || !c.writing) {
			mine, c.writing = true, true
			n += c.putOut(p[n:])
			if n == len(p) && n > 0 && !c.datagrams() {
				c.ends = append(c.ends, c.written)
			}
		}
		if err != nil || mine && n == len(p) {
			c.mu.Unlock()
			c.m.poke()
			return n, c.opError("write", err)
		}
		by, ready := c.writeBy, c.writable.wait()
		c.mu.Unlock()
		c.m.poke()
		waitUntil(by, ready)
	}
}

// writeState is called with mu held.
func (c *Conn) writeState() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case expired(c.writeBy):
		return os.ErrDeadlineExceeded
	}
	return c.writeErr
}

// Written is how many bytes Write has taken since the connection was opened.
func (c *Conn) Written() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// Acked is how many of them the peer's TCP is known to have acknowledged; over UDP it stays 0 (G4.6).
func (c *Conn) Acked() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acked
}

// WaitAcked blocks until the peer's TCP has acknowledged the first offset bytes (G4.5). The error is not nil when ctx ends or the
// connection does before that, and always over UDP, where it means nothing (G4.6).
func (c *Conn) WaitAcked(ctx context.Context, offset uint64) error {
	if c.datagrams() {
		return c.opError("wait", errNoAcks)
	}
	c.startWaiting(offset)
	defer c.stopWaiting(offset)
	for {
		c.mu.Lock()
		acked, err := c.acked, c.writeErr
		if c.closed {
			err = net.ErrClosed
		}
		ready := c.progress.wait()
		c.mu.Unlock()
		switch {
		case acked >= offset:
			return nil
		case err != nil:
			return c.opError("wait", err)
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return c.opError("wait", ctx.Err())
		}
	}
}

func (c *Conn) startWaiting(offset uint64) {
	c.mu.Lock()
	c.waits = append(c.waits, offset)
	c.mu.Unlock()
	c.m.poke() // the owner asks in time for it
}

func (c *Conn) stopWaiting(offset uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waits, offset)
	c.waits = slices.Delete(c.waits, i, i+1)
}

// Close ends the connection for its users at once. What was written is still sent, for Config.Linger at most, and then the
// module's socket is closed (G7.1); the next DialContext waits for that. Close itself waits for nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.in = nil
	c.wakeAll()
	c.mu.Unlock()
	c.m.poke()
	if already {
		return c.opError("close", net.ErrClosed)
	}
	return nil
}

// SetDeadline sets both deadlines; the zero time means none.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(&t, &t) }

// SetReadDeadline sets the deadline of present and future Reads.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(&t, nil) }

// SetWriteDeadline sets the deadline of present and future Writes. It releases the caller, never the wire: what the buffer has
// taken is sent.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(nil, &t) }

func (c *Conn) setDeadlines(read, write *time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if read != nil {
		c.readBy = *read
		c.readable.wake()
	}
	if write != nil {
		c.writeBy = *write
		c.writable.wake()
	}
	return nil
}

func expired(by time.Time) bool { return !by.IsZero() && !time.Now().Before(by) }

// waitUntil waits for a condition, or the deadline if there is one.
func waitUntil(by time.Time, ready <-chan struct{}) {
	if by.IsZero() {
		<-ready
		return
	}
	t := time.NewTimer(time.Until(by))
	defer t.Stop()
	select {
	case <-ready:
	case <-t.C:
	}
}

// wakeAll is called with mu held.
func (c *Conn) wakeAll() {
	c.readable.wake()
	c.writable.wake()
	c.progress.wake()
}
