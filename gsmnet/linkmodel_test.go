package gsmnet_test

import (
	"math"
	"testing"
	"time"
)

// linkModel calculates what a link can carry, to compare the driver with: a serial line that speaks one command at a time, a module
// with a buffer and a TCP in slow start without loss, a radio with a rate and a round trip. Nothing here is measured, and the host
// knows what the driver has to find out: how much the buffer holds, and that asking each 200 ms is right.
type linkModel struct {
	baud     float64       // bits a second, ten to a byte
	answer   time.Duration // of the module, to a command or a payload
	up, down float64       // bytes a second
	rtt      time.Duration
	buffer   int // bytes unacknowledged
	send     int // bytes of one AT+QISEND
}

// window is the strategy that fills the buffer, and asks each 200 ms while there is no room: payload bytes a second.
func (l linkModel) window() float64 {
	const (
		limit             = 300.0 // seconds
		pause             = 0.2
		sendTalk, askTalk = len("AT+QISEND=1460\r") + len("\r\n> ") + len("\r\nSEND OK\r\n"),
			len("AT+QISACK\r") + len("\r\n+QISACK: 1234567, 1234567, 7300\r\n\r\nOK\r\n")
	)
	line := func(bytes int) float64 { return float64(bytes) * 10 / l.baud }
	answer := l.answer.Seconds()
	tcp := modelTCP{l: l, cwnd: 2 * modelSegment}
	now, known := 0.0, 0
	for now < limit {
		if tcp.given-known+l.send <= l.buffer {
			now += line(sendTalk+l.send) + 2*answer
			tcp.give(now, l.send)
			continue
		}
		now += line(askTalk) + answer
		if acked := tcp.acked(now); acked > known {
			known = acked
			continue
		}
		now += pause
	}
	return float64(tcp.acked(now)) / now
}

const modelSegment = 1460

// modelTCP is the module's TCP and the radio behind it.
type modelTCP struct {
	l        linkModel
	given    int // bytes taken from the host
	waiting  []int
	flying   []modelFlight
	inFlight int
	cwnd     int
	done     int
	freeAt   float64 // when the uplink has sent what it has
}

type modelFlight struct {
	bytes int
	back  float64 // when the acknowledgement is here
}

// onAir is the time of an IP packet: LLC frames carry at most 496 bytes, and need 10 more each (3GPP TS 44.064, 44.065).
func onAir(ip int, rate float64) float64 { return (float64(ip) + 10*math.Ceil(float64(ip)/496)) / rate }

func (m *modelTCP) give(now float64, n int) {
	m.acked(now)
	m.given += n
	for ; n > 0; n -= min(n, modelSegment) {
		m.waiting = append(m.waiting, min(n, modelSegment))
	}
	m.fly(now)
}

func (m *modelTCP) fly(now float64) {
	const headers = 40
	for len(m.waiting) > 0 && (m.inFlight == 0 || m.inFlight+m.waiting[0] <= m.cwnd) {
		n := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.inFlight += n
		m.freeAt = max(m.freeAt, now) + onAir(n+headers, m.l.up)
		m.flying = append(m.flying, modelFlight{n, m.freeAt + m.l.rtt.Seconds() + onAir(headers, m.l.down)})
	}
}

// acked is how many bytes the peer has acknowledged by now.
func (m *modelTCP) acked(now float64) int {
	for len(m.flying) > 0 && m.flying[0].back <= now {
		f := m.flying[0]
		m.flying = m.flying[1:]
		m.inFlight -= f.bytes
		m.done += f.bytes
		m.cwnd += modelSegment
		m.fly(f.back)
	}
	return m.done
}

// TestLinkModel holds the model against what can be said without it: it can't be faster than the radio, the line or a buffer a round trip.
func TestLinkModel(t *testing.T) {
	for _, c := range []struct {
		up       float64
		rtt      time.Duration
		from, to float64
	}{
		{3000, 300 * time.Millisecond, 2750, 3000 * 1460 / 1540.},
		{3000, 600 * time.Millisecond, 2750, 3000 * 1460 / 1540.},
		{6000, time.Second, 4300, 7300 / 1.3},
		{10000, time.Second, 4300, 7300 / 1.2},
	} {
		got := modelOf(int(c.up), c.rtt).window()
		if got < c.from || got > c.to {
			t.Errorf("%v B/s, %v: %.0f B/s, want %.0f to %.0f", c.up, c.rtt, got, c.from, c.to)
		}
	}
}

func modelOf(up int, rtt time.Duration) linkModel {
	return linkModel{baud: 115200, answer: 10 * time.Millisecond, up: float64(up), down: 6000, rtt: rtt, buffer: 7300, send: 1460}
}
