package gsmnet_test

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// pipeEnd is one end of an in-memory connection with a buffer, as a kernel's socket has one. It works inside a bubble.
type pipeEnd struct {
	in, out *pipeBuffer
}

type pipeBuffer struct {
	mu      sync.Mutex
	changed *sync.Cond
	b       []byte
	closed  bool
	by      time.Time
	timer   *time.Timer
}

const pipeRoom = 1 << 16

func bufferedPipe() (net.Conn, net.Conn) {
	x, y := newPipeBuffer(), newPipeBuffer()
	return &pipeEnd{in: x, out: y}, &pipeEnd{in: y, out: x}
}

func newPipeBuffer() *pipeBuffer {
	p := &pipeBuffer{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (e *pipeEnd) Read(p []byte) (int, error) {
	b := e.in
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.b) == 0 && !b.closed {
		if !b.by.IsZero() && !time.Now().Before(b.by) {
			return 0, os.ErrDeadlineExceeded
		}
		b.changed.Wait()
	}
	if len(b.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.b)
	b.b = b.b[n:]
	b.changed.Broadcast()
	return n, nil
}

func (e *pipeEnd) Write(p []byte) (int, error) {
	b := e.out
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < len(p) {
		for len(b.b) >= pipeRoom && !b.closed {
			b.changed.Wait()
		}
		if b.closed {
			return n, io.ErrClosedPipe
		}
		k := min(len(p)-n, pipeRoom-len(b.b))
		b.b = append(b.b, p[n:n+k]...)
		n += k
		b.changed.Broadcast()
	}
	return n, nil
}

func (e *pipeEnd) Close() error {
	for _, b := range []*pipeBuffer{e.in, e.out} {
		b.mu.Lock()
		b.closed = true
		b.changed.Broadcast()
		b.mu.Unlock()
	}
	return nil
}

func (e *pipeEnd) SetReadDeadline(t time.Time) error {
	b := e.in
	b.mu.Lock()
	defer b.mu.Unlock()
	b.by = t
	if b.timer != nil {
		b.timer.Stop()
	}
	if !t.IsZero() {
		b.timer = time.AfterFunc(time.Until(t), b.changed.Broadcast)
	}
	b.changed.Broadcast()
	return nil
}

func (e *pipeEnd) SetDeadline(t time.Time) error      { return e.SetReadDeadline(t) }
func (e *pipeEnd) SetWriteDeadline(t time.Time) error { return nil }
func (e *pipeEnd) LocalAddr() net.Addr                { return pipeAddr{} }
func (e *pipeEnd) RemoteAddr() net.Addr               { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func quoteText(s string) string { return strconv.Quote(s) }
