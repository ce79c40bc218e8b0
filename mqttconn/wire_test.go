package mqttconn_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wire is one TCP connection in memory, the client's end of which counts what the far end has acknowledged. Nothing in it
// blocks on a mutex, so that it works in virtual time.
type wire struct {
	up, down *stream

	mu    sync.Mutex
	acked uint64        // guarded by mu
	held  bool          // guarded by mu: the acknowledged count does not follow by itself
	moved chan struct{} // guarded by mu: closed and replaced when acked or held changes
	fault error         // guarded by mu: what WaitAcked returns
}

// newWire makes a connection whose bytes count as acknowledged when the far end has read them.
func newWire() *wire {
	w := &wire{up: newStream(), down: newStream(), moved: make(chan struct{})}
	w.up.onRead = w.consumed
	return w
}

func (w *wire) client() *clientEnd { return &clientEnd{end{in: w.down, out: w.up}, w} }
func (w *wire) server() net.Conn   { return &end{in: w.up, out: w.down} }

// cut breaks the connection; bytes on their way are lost.
func (w *wire) cut() {
	w.up.shut(errReset, true)
	w.down.shut(errReset, true)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

func (w *wire) consumed(total uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		w.ack(total)
	}
}

// hold stops the acknowledged count from following the reader; release lets it catch up.
func (w *wire) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = true
}

func (w *wire) release() {
	total := w.up.total()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
	w.ack(total)
}

// processed acknowledges what the server's end has read so far, although the count is held.
func (w *wire) processed() {
	total := w.up.totalRead()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ack(total)
}

// refuse makes WaitAcked fail.
func (w *wire) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = err
	w.ack(w.acked)
}

// ack is called with mu held.
func (w *wire) ack(n uint64) {
	w.acked = max(w.acked, n)
	close(w.moved)
	w.moved = make(chan struct{})
}

func (w *wire) waitAcked(ctx context.Context, offset uint64) error {
	for {
		w.mu.Lock()
		acked, moved, fault := w.acked, w.moved, w.fault
		w.mu.Unlock()
		switch {
		case fault != nil:
			return fault
		case acked >= offset:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type wireError string

func (e wireError) Error() string { return string(e) }

const errReset = wireError("connection reset by the test")

// end is one end of a wire.
type end struct{ in, out *stream }

func (e *end) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }
func (e *end) Close() error {
	e.in.shut(net.ErrClosed, true)
	e.out.shut(io.EOF, false)
	return nil
}
func (e *end) LocalAddr() net.Addr  { return wireAddr("client") }
func (e *end) RemoteAddr() net.Addr { return wireAddr("broker.example:1883") }
func (e *end) SetDeadline(t time.Time) error {
	e.in.setReadDeadline(t)
	return nil
}
func (e *end) SetReadDeadline(t time.Time) error {
	e.in.setReadDeadline(t)
	return nil
}
func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.setWriteDeadline(t)
	return nil
}

type wireAddr string

func (wireAddr) Network() string  { return "wire" }
func (a wireAddr) String() string { return string(a) }

// clientEnd is the end that the code under test gets.
type clientEnd struct {
	end
	wire *wire
}

func (c *clientEnd) Written() uint64 { return c.wire.up.total() }
func (c *clientEnd) WaitAcked(ctx context.Context, offset uint64) error {
	return c.wire.waitAcked(ctx, offset)
}

// stream is one direction: a buffer that a reader waits on.
type stream struct {
	onRead func(total uint64)

	mu       sync.Mutex
	buf      []byte
	written  uint64
	readSum  uint64
	err      error // what the reader gets after the buffer, and the writer at once
	stalled  bool  // writes block
	writes   int
	deadline time.Time
	writeEnd time.Time // after this moment writes fail; one that is stalled goes on
	changed  chan struct{}
}

func newStream() *stream { return &stream{changed: make(chan struct{})} }

// notify is called with mu held.
func (s *stream) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) total() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

func (s *stream) totalRead() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readSum
}

func (s *stream) writeCalls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *stream) stall(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = on
	s.notify()
}

func (s *stream) setReadDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.notify()
}

func (s *stream) setWriteDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeEnd = t
}

func (s *stream) shut(err error, drop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	if drop {
		s.buf = nil
	}
	s.notify()
}

func (s *stream) write(p []byte) (int, error) {
	for {
		s.mu.Lock()
		switch {
		case s.err != nil:
			defer s.mu.Unlock()
			return 0, s.err
		case !s.writeEnd.IsZero() && !time.Now().Before(s.writeEnd):
			defer s.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		case !s.stalled:
			defer s.mu.Unlock()
			s.buf = append(s.buf, p...)
			s.written += uint64(len(p))
			s.writes++
			s.notify()
			return len(p), nil
		}
		changed := s.changed
		s.mu.Unlock()
		<-changed
	}
}

func (s *stream) read(p []byte) (int, error) {
	for {
		n, err, changed, deadline := s.tryRead(p)
		if n > 0 || err != nil {
			return n, err
		}
		var expired <-chan time.Time
		if !deadline.IsZero() {
			expired = time.After(time.Until(deadline))
		}
		select {
		case <-changed:
		case <-expired:
		}
	}
}

func (s *stream) tryRead(p []byte) (n int, err error, changed chan struct{}, deadline time.Time) {
	s.mu.Lock()
	n = copy(p, s.buf)
	s.buf = s.buf[n:]
	s.readSum += uint64(n)
	total, onRead := s.readSum, s.onRead
	switch {
	case n > 0:
	case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
		err = os.ErrDeadlineExceeded
	default:
		err = s.err
	}
	changed, deadline = s.changed, s.deadline
	s.mu.Unlock()
	if n > 0 && onRead != nil {
		onRead(total)
	}
	return n, err, changed, deadline
}
