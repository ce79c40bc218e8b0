package gsmsim

import (
	"slices"
	"time"
)

// lineChunk is how many bytes the line moves in one step: a UART's FIFO. The last byte of a
// step arrives on time, those before it arrive with it.
const lineChunk = 64

// lineRoom is how many bytes wait at an end before it blocks or loses bytes, as in an operating system's
// serial buffer.
const lineRoom = 4096

// port is the far end of the line, the host's. Its methods are called by the owner goroutine and
// must not block.
type port interface {
	put(b []byte) (lost int) // bytes have arrived at the host
	taken(n int)             // n bytes of the host's have arrived at the module
	baud() int               // the host's speed
	hangUp()                 // the line is gone
}

// line moves bytes between the host and the module at the speed of the sender.
type line struct {
	m    *Module
	port port // nil when nothing is plugged in

	in      []byte // from the host, on their way
	inFree  time.Time
	inEvent *event
	inGate  bool // flow control holds the host's bytes back

	out      [][]byte // to the host; each a frame that nothing may split
	outBytes int
	sent     int // bytes of out[0] on their way or gone
	outFree  time.Time
	outEvent *event
}

func (l *line) init(m *Module) { l.m = m }

// plug connects p in place of what was there.
func (l *line) plug(p port) {
	l.unplug()
	l.port = p
}

func (l *line) unplug() {
	if l.port == nil {
		return
	}
	l.port.hangUp()
	l.port = nil
	l.inEvent.stop()
	l.in = nil
}

// Unplug pulls the plug at the module's side, as when a USB adapter is lost: the host's Read gets an
// end, and a link that PTY made is removed.
func (m *Module) Unplug() { m.do(m.line.unplug) }

// byteTime is ten bits (start, eight, stop) at the given speed.
func byteTime(n, baud int) time.Duration {
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}

// fromHost takes bytes that the host has written.
func (l *line) fromHost(p port, b []byte) {
	if p != l.port {
		return
	}
	l.in = append(l.in, b...)
	l.stepIn()
}

func (l *line) stepIn() {
	if len(l.in) == 0 || l.inEvent.pending() || l.inGate {
		return
	}
	n := min(len(l.in), lineChunk)
	start := l.m.now
	if l.inFree.After(start) {
		start = l.inFree
	}
	l.inFree = start.Add(byteTime(n, l.port.baud()))
	l.inEvent = l.m.at(l.inFree, func() {
		b := slices.Clone(l.in[:n])
		l.in = l.in[n:]
		if len(l.in) == 0 {
			l.in = nil
		}
		l.port.taken(n)
		l.m.stats.SerialIn += uint64(n)
		b = l.disturb(b)
		if l.m.cfg.Trace != nil && len(b) > 0 {
			l.m.cfg.Trace(ToModule, b)
		}
		l.m.uart.input(b)
		l.stepIn()
	})
}

// gate holds the host's bytes back, or lets them in again.
func (l *line) gate(closed bool) {
	l.inGate = closed
	if !closed && l.port != nil {
		l.stepIn()
	}
}

// send queues one frame for the host, behind all others.
func (l *line) send(frame []byte) {
	l.out = append(l.out, frame)
	l.outBytes += len(frame)
	l.stepOut()
}

// whenSent has f done once all that waits has left.
func (l *line) whenSent(f func()) {
	if len(l.out) == 0 {
		f()
		return
	}
	l.m.at(l.outFree, func() { l.whenSent(f) })
}

func (l *line) stepOut() {
	if len(l.out) == 0 || l.outEvent.pending() {
		return
	}
	n := min(len(l.out[0])-l.sent, lineChunk)
	b := l.out[0][l.sent : l.sent+n]
	l.sent += n
	start := l.m.now
	if l.outFree.After(start) {
		start = l.outFree
	}
	l.outFree = start.Add(byteTime(n, l.m.uart.speed()))
	l.outEvent = l.m.at(l.outFree, func() {
		l.outBytes -= n
		if l.sent == len(l.out[0]) {
			l.out, l.sent = l.out[1:], 0
		}
		l.deliver(b)
		l.stepOut()
	})
}

func (l *line) deliver(b []byte) {
	l.m.stats.SerialOut += uint64(len(b))
	if l.port == nil {
		l.m.stats.Overrun += uint64(len(b))
		return
	}
	b = l.disturb(slices.Clone(b))
	if l.m.cfg.Trace != nil && len(b) > 0 {
		l.m.cfg.Trace(ToHost, b)
	}
	l.m.stats.Overrun += uint64(l.port.put(b))
}

// clear forgets what has not left yet: the module lost power.
func (l *line) clear() {
	l.outEvent.stop()
	l.out, l.sent, l.outBytes = nil, 0, 0
}

// disturb does to bytes on the line what noise and a wrong speed do. It may use b's storage.
func (l *line) disturb(b []byte) []byte {
	if host := l.port.baud(); host != l.m.uart.speed() {
		return garble(b, host, l.m.uart.speed())
	}
	f := &l.m.cfg.Faults
	if f.LoseByte <= 0 && f.DoubleByte <= 0 && f.FlipByte <= 0 {
		return b
	}
	noisy := make([]byte, 0, len(b)+1)
	for _, c := range b {
		if f.FlipByte > 0 && l.m.rand.Float64() < f.FlipByte {
			c ^= 1 << l.m.rand.IntN(8)
		}
		if f.LoseByte > 0 && l.m.rand.Float64() < f.LoseByte {
			continue
		}
		noisy = append(noisy, c)
		if f.DoubleByte > 0 && l.m.rand.Float64() < f.DoubleByte {
			noisy = append(noisy, c)
		}
	}
	return noisy
}

// garble is what a receiver at one speed makes of bytes sent at another: a slower sender's bits
// each look like several, a faster sender's bytes melt into fewer.
func garble(b []byte, from, to int) []byte {
	junk := make([]byte, 0, len(b))
	for i, c := range b {
		if from > to && i%max(1, from/to) != 0 {
			continue
		}
		junk = append(junk, c^0xAA|0x80)
	}
	return junk
}
