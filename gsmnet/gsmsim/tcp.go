package gsmsim

import (
	"math"
	"time"
)

const (
	tcpHeaders = 40   // IP and TCP without options
	udpHeaders = 28   // IP and UDP
	maxSegment = 1448 // the guide's largest segment
	sendWindow = 7300 // the module's send buffer: five of 1460

	// receiveWindow is what the module takes before the host reads it. Public sources don't
	// tell; eight segments fill the fastest link that a module has.
	receiveWindow = 8 * 1448

	firstTimeout = 3 * time.Second // RFC 6298 2.1, in the older form that suits this link
	leastTimeout = time.Second
	mostTimeout  = time.Minute

	// delayedAck is how long an acknowledgement waits for data to ride with. RFC 1122 allows 500 ms.
	delayedAck = 200 * time.Millisecond
)

// segment is one packet of a connection.
type segment struct {
	fin, rst bool
	probe    bool // asks for an acknowledgement
	seq      uint64
	data     []byte
	ack      uint64 // everything before has arrived
	window   int    // and so much more may be sent
}

// chunk is what goes into one segment. Chunks are never joined: a module makes of each AT+QISEND
// a segment of its own.
type chunk struct {
	seq  uint64
	data []byte
	fin  bool
}

func (c chunk) end() uint64 {
	if c.fin {
		return c.seq + 1
	}
	return c.seq + uint64(len(c.data))
}

// endpoint is one end of a TCP connection, the module's or the server's: go-back-N with slow
// start and retransmission after a measured time.
type endpoint struct {
	m        *Module
	transmit func(segment)
	giveUp   time.Duration
	deliver  func(data []byte, fin bool) // in order; the receiver calls accept when it has it
	acked    func()                      // the peer has acknowledged more
	dead     func()                      // nothing was heard for giveUp, or the peer reset the connection
	room     func() int                  // receive window left

	chunks  []chunk // sent and not acknowledged, then not sent; in order
	una     uint64  // first byte that is not acknowledged
	next    int     // index of the first chunk not sent
	end     uint64  // behind the last byte given to send
	cwnd    int
	window  int // the peer's
	highest uint64

	timeout  time.Duration
	srtt     time.Duration
	rttvar   time.Duration
	timedEnd uint64 // the acknowledgement that ends the measurement, 0 if none runs
	timedAt  time.Time
	retry    *event
	heard    time.Time // sign of life, or the moment when one began to be due

	received uint64 // arrived in order
	accepted uint64 // and taken by the receiver: this is acknowledged
	owed     int    // segments not acknowledged yet
	ackTimer *event
	finished bool // the end of the stream is queued
	closed   bool
}

func (m *Module) newEndpoint(giveUp time.Duration) *endpoint {
	return &endpoint{
		m: m, giveUp: giveUp, cwnd: 2 * maxSegment, window: receiveWindow,
		timeout: firstTimeout, heard: m.now,
	}
}

// stop ends all activity.
func (e *endpoint) stop() {
	e.closed = true
	e.retry.stop()
	e.ackTimer.stop()
}

// unacked is the number of bytes taken for sending and not acknowledged.
func (e *endpoint) unacked() int { return int(e.end - e.una) }

// send queues data, which the endpoint keeps.
func (e *endpoint) send(data []byte) {
	for len(data) > 0 {
		n := min(len(data), maxSegment)
		e.queue(chunk{seq: e.end, data: data[:n]})
		data = data[n:]
	}
	e.pump()
}

// finish queues the end of the stream, and reports false if that was done before.
func (e *endpoint) finish() bool {
	if e.finished {
		return false
	}
	e.finished = true
	e.queue(chunk{seq: e.end, fin: true})
	e.pump()
	return true
}

func (e *endpoint) queue(c chunk) {
	if len(e.chunks) == 0 {
		e.heard = e.m.now
	}
	e.chunks = append(e.chunks, c)
	e.end = c.end()
}

// pump sends what the windows allow.
func (e *endpoint) pump() {
	if e.closed {
		return
	}
	for e.next < len(e.chunks) {
		c := e.chunks[e.next]
		flight := int(c.seq - e.una)
		if flight > 0 && flight+len(c.data) > e.cwnd || flight+len(c.data) > e.window {
			break
		}
		e.next++
		e.sendChunk(c)
	}
	if len(e.chunks) > 0 && !e.retry.pending() {
		e.retry = e.m.after(e.timeout, e.onTimeout)
	}
}

func (e *endpoint) sendChunk(c chunk) {
	if c.end() <= e.highest {
		e.m.stats.Resent++
		e.timedEnd = 0 // Karn: an answer to a repeat measures nothing
	} else {
		e.highest = c.end()
		if e.timedEnd == 0 {
			e.timedEnd, e.timedAt = c.end(), e.m.now
		}
	}
	e.emit(segment{seq: c.seq, data: c.data, fin: c.fin})
}

// emit sends a segment, with the acknowledgement that every segment carries.
func (e *endpoint) emit(s segment) {
	s.ack, s.window = e.accepted, e.room()
	e.owed = 0
	e.ackTimer.stop()
	e.transmit(s)
}

// onTimeout sends again from the first byte that is not acknowledged, or asks for the window.
func (e *endpoint) onTimeout() {
	if e.closed || len(e.chunks) == 0 {
		return
	}
	if e.m.now.Sub(e.heard) >= e.giveUp {
		e.stop()
		e.dead()
		return
	}
	e.timeout = min(2*e.timeout, mostTimeout)
	e.cwnd = maxSegment
	blocked := e.next == 0
	e.next = 0
	e.pump()
	if blocked && e.next == 0 {
		e.emit(segment{seq: e.una, probe: true})
	}
	if !e.retry.pending() {
		e.retry = e.m.after(e.timeout, e.onTimeout)
	}
}

// arrive takes a segment from the peer.
func (e *endpoint) arrive(s segment) {
	if e.closed {
		return
	}
	if s.rst {
		e.stop()
		e.dead()
		return
	}
	e.heard = e.m.now
	e.onAck(s)
	if e.closed {
		return
	}
	switch n := uint64(len(s.data)) + uint64(number(s.fin)); {
	case n == 0:
		if s.probe {
			e.emit(segment{seq: e.end})
		}
	case s.seq != e.received: // a repeat, or a gap before it
		e.emit(segment{seq: e.end})
	default:
		e.received += n
		e.deliver(s.data, s.fin)
	}
}

// accept acknowledges n bytes that were delivered, at once for every second segment.
func (e *endpoint) accept(n int) {
	if e.closed {
		return
	}
	e.accepted += uint64(n)
	e.owed++
	switch {
	case e.owed >= 2:
		e.emit(segment{seq: e.end})
	case !e.ackTimer.pending():
		e.ackTimer = e.m.after(delayedAck, func() { e.emit(segment{seq: e.end}) })
	}
}

// windowOpened tells the peer that there is room again, if it could be waiting for it.
func (e *endpoint) windowOpened(before int) {
	if !e.closed && before < maxSegment && e.room() >= maxSegment {
		e.emit(segment{seq: e.end})
	}
}

func (e *endpoint) onAck(s segment) {
	e.window = s.window
	if s.ack <= e.una || s.ack > e.end {
		e.pump()
		return
	}
	if e.timedEnd != 0 && s.ack >= e.timedEnd {
		e.measure(e.m.now.Sub(e.timedAt))
		e.timedEnd = 0
		e.timeout = e.estimate()
	}
	e.cwnd = min(e.cwnd+int(s.ack-e.una), math.MaxUint16)
	e.una = s.ack
	for len(e.chunks) > 0 && e.chunks[0].end() <= e.una {
		e.chunks = e.chunks[1:]
		e.next = max(0, e.next-1)
	}
	e.retry.stop()
	e.pump()
	e.acked()
}

// measure takes one round trip into the estimate (RFC 6298, 2.2 and 2.3).
func (e *endpoint) measure(rtt time.Duration) {
	if e.srtt == 0 {
		e.srtt, e.rttvar = rtt, rtt/2
		return
	}
	e.rttvar += (max(e.srtt-rtt, rtt-e.srtt) - e.rttvar) / 4
	e.srtt += (rtt - e.srtt) / 8
}

func (e *endpoint) estimate() time.Duration {
	return min(max(e.srtt+4*e.rttvar, leastTimeout), mostTimeout)
}
