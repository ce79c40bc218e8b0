package gsmsim

import (
	"io"
	"sync"
)

// hostRoom is how much the host's end of an in-memory wire keeps for a host that does not read.
// More is lost, as on a line without flow control.
const hostRoom = 256 << 10

// wireBaud is the host's speed until SetBaud, if the module's own is found automatically.
const wireBaud = 115200

// Wire is the host's end of an in-memory serial line. Read blocks until there are bytes, Write until
// the bytes are in the line's buffer of 4096. Both may be called concurrently, and both work
// inside a testing/synctest bubble.
type Wire struct {
	m *Module

	mu      sync.Mutex // never held while waiting for anything but a condition
	changed *sync.Cond
	rx      []byte
	queued  int // bytes written by the host that have not reached the module
	speed   int
	err     error // why Read and Write fail: set when the line is gone
}

var _ io.ReadWriteCloser = (*Wire)(nil)

// Wire plugs in an in-memory line in place of what was plugged in before, and returns the
// host's end. The module does not notice: it has no way to see who is there.
func (m *Module) Wire() *Wire {
	w := &Wire{m: m, speed: m.cfg.Baud}
	if w.speed == 0 {
		w.speed = wireBaud
	}
	w.changed = sync.NewCond(&w.mu)
	if !m.do(func() { m.line.plug(w) }) {
		w.hangUp()
	}
	return w
}

// SetBaud sets the host's speed, as on a serial port; the error is always nil. It starts at Config.Baud or 115200.
func (w *Wire) SetBaud(baud int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.speed = baud
	return nil
}

// Read returns bytes from the module; io.EOF when the line was unplugged or the module closed.
func (w *Wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.rx) == 0 && w.err == nil {
		w.changed.Wait()
	}
	if w.err == io.ErrClosedPipe || len(w.rx) == 0 {
		return 0, w.err
	}
	n := copy(p, w.rx)
	w.rx = w.rx[n:]
	if len(w.rx) == 0 {
		w.rx = nil
	}
	return n, nil
}

// Write gives bytes to the line.
func (w *Wire) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := w.reserve(len(p) - written)
		if err != nil {
			return written, err
		}
		b := append([]byte(nil), p[written:written+n]...)
		if !w.m.post(func() { w.m.line.fromHost(w, b) }) {
			return written, io.ErrClosedPipe
		}
		written += n
	}
	return written, nil
}

// reserve waits for room in the line's buffer and takes up to n bytes of it.
func (w *Wire) reserve(n int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.queued >= lineRoom && w.err == nil {
		w.changed.Wait()
	}
	if w.err != nil {
		return 0, io.ErrClosedPipe
	}
	n = min(n, lineRoom-w.queued)
	w.queued += n
	return n, nil
}

// Close pulls the plug at the host's side. Blocked calls of Read and Write return.
func (w *Wire) Close() error {
	w.mu.Lock()
	w.err = io.ErrClosedPipe
	w.changed.Broadcast()
	w.mu.Unlock()
	w.m.do(func() {
		if w.m.line.port == w {
			w.m.line.unplug()
		}
	})
	return nil
}

func (w *Wire) put(b []byte) (lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(b), hostRoom-len(w.rx))
	w.rx = append(w.rx, b[:n]...)
	w.changed.Broadcast()
	return len(b) - n
}

func (w *Wire) taken(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queued -= n
	w.changed.Broadcast()
}

func (w *Wire) baud() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.speed
}

func (w *Wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = io.EOF
	}
	w.changed.Broadcast()
}
