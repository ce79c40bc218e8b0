package gsmsim

import (
	"errors"
	"io"
	"net"
	"time"
)

// farBuffer is the server's socket buffer, each way.
const farBuffer = 64 << 10

// farAhead is how much is read from the server before the module has acknowledged it.
const farAhead = 16 << 10

// answerRides is how long an answer that was read before the write of its question had returned waits for that: a real TCP
// has acknowledged the question by then, and the acknowledgement rides with the answer.
const answerRides = time.Millisecond

// far is the real connection to a server, with the two goroutines that use it.
type far struct {
	f       *flow
	conn    net.Conn
	reads   chan int    // sizes to read; one at a time
	writes  chan []byte // one at a time
	reading bool
	ended   bool // the server has closed
	closed  bool
	held    []byte // read from the server, and held back to fill a segment

	outbox  [][]byte // accepted from the module, to be written
	waiting int      // bytes in outbox
	writing bool
	last    bool // the module has closed: close behind the outbox
}

// newFar starts the goroutines; both end with close, and Module.Close waits for them.
func newFar(f *flow, conn net.Conn) *far {
	r := &far{f: f, conn: conn, reads: make(chan int, 1), writes: make(chan []byte, 1)}
	f.m.wg.Go(r.readLoop)
	f.m.wg.Go(r.writeLoop)
	return r
}

func (r *far) readLoop() {
	for n := range r.reads {
		b := make([]byte, n)
		n, err := r.conn.Read(b)
		if !r.f.m.post(func() { r.onRead(b[:n], err) }) {
			return
		}
	}
}

func (r *far) writeLoop() {
	for b := range r.writes {
		_, err := r.conn.Write(b)
		if !r.f.m.post(func() { r.onWritten(len(b), err) }) {
			return
		}
	}
}

// close ends the connection now.
func (r *far) close() {
	if r.closed {
		return
	}
	r.closed = true
	close(r.reads)
	close(r.writes)
	r.conn.Close()
}

// more reads on from the server if there is room for it.
func (r *far) more() {
	s := r.f.server
	r.release()
	if s.unacked()+len(r.held) < farAhead && !s.closed {
		r.read(maxSegment)
	}
	if r.last && len(s.chunks) == 0 {
		r.f.remove() // both ends are acknowledged
	}
}

func (r *far) read(n int) {
	if !r.reading && !r.ended && !r.closed {
		r.reading = true
		r.reads <- n
	}
}

func (r *far) onRead(b []byte, err error) {
	r.reading = false
	if r.closed {
		return
	}
	if r.f.udp {
		if err == nil {
			r.f.datagramDown(b)
			r.read(maxSegment)
		}
		return
	}
	r.held = append(r.held, b...)
	switch {
	case err == nil && r.writing:
		r.f.m.after(answerRides, r.answer)
	case err == nil:
		r.more()
	case errors.Is(err, io.EOF):
		r.ended = true
		r.release()
		r.f.server.finish()
	default:
		r.reset()
	}
}

// answer goes on after a moment in which the server's TCP has taken what it is answering.
func (r *far) answer() {
	if !r.closed {
		r.more()
	}
}

// release sends what the server has written as its TCP would (RFC 896): full segments at once, less only while nothing
// else is unacknowledged, so that the answers of a broker to many messages share a packet.
func (r *far) release() {
	s := r.f.server
	for len(r.held) >= maxSegment {
		s.send(r.held[:maxSegment:maxSegment])
		r.held = r.held[maxSegment:]
	}
	if len(r.held) > 0 && (s.unacked() == 0 || r.ended) {
		s.send(r.held)
		r.held = nil
	}
}

// reset tells the module that the server has broken the connection off.
func (r *far) reset() {
	r.ended = true
	f := r.f
	f.server.emit(segment{rst: true})
	f.serverGone()
}

// deliver takes data that has arrived in order from the module.
func (r *far) deliver(data []byte, fin bool) {
	if fin {
		r.last = true
		r.finish()
		return
	}
	r.write(data)
}

// write queues data for the server.
func (r *far) write(data ...[]byte) {
	for _, b := range data {
		r.outbox = append(r.outbox, b)
		r.waiting += len(b)
	}
	if r.writing || r.closed || len(r.outbox) == 0 {
		return
	}
	b := r.outbox[0]
	r.outbox = r.outbox[1:]
	r.writing = true
	r.writes <- b
}

func (r *far) onWritten(n int, err error) {
	r.writing = false
	r.waiting -= n
	if r.closed {
		return
	}
	if err != nil {
		if !r.f.udp {
			r.reset()
		}
		return
	}
	if !r.f.udp {
		r.f.server.accept(n)
	}
	r.write()
	r.finish()
}

// finish closes the connection to the server once all is written that the module sent before its own end.
func (r *far) finish() {
	if !r.last || r.writing || len(r.outbox) > 0 || r.closed {
		return
	}
	r.close()
	s := r.f.server
	s.accepted++
	if !r.ended {
		r.ended = true
		s.finish()
	} else {
		s.emit(segment{seq: s.end})
		r.more()
	}
}
