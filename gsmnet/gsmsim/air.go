package gsmsim

import "time"

// A packet on the air costs its own bytes and ten of SNDCP and LLC headers for each 496.
const (
	llcPayload = 496
	llcHeader  = 10
)

// airQueue is how long a packet waits for its turn at most; then it is lost, as in a full buffer
// of the network. TCP's window stays below it at any rate that a network offers.
const airQueue = 30 * time.Second

// air is the radio link.
type air struct {
	m        *Module
	up, down airway
}

// airway is one direction: packets one after the other at its rate, then the delay.
type airway struct {
	rate    *int
	bytes   *uint64 // counters
	packets *uint64
	free    time.Time // when the last packet will have been sent
	last    time.Time // when it will arrive: jitter does not change the order
}

func (a *air) init(m *Module) {
	a.m = m
	a.up = airway{rate: &m.cfg.Radio.Up, bytes: &m.stats.AirUp, packets: &m.stats.PacketsUp}
	a.down = airway{rate: &m.cfg.Radio.Down, bytes: &m.stats.AirDown, packets: &m.stats.PacketsDown}
}

// send puts an IP packet of n bytes on its way. What is lost never arrives.
func (a *air) send(w *airway, n int, arrive func()) {
	m := a.m
	if !m.reg.connected() {
		return
	}
	start := m.now
	if w.free.After(start) {
		start = w.free
	}
	if start.Sub(m.now) > airQueue {
		return
	}
	onAir := n + llcHeader*((n+llcPayload-1)/llcPayload)
	w.free = start.Add(time.Duration(onAir) * time.Second / time.Duration(*w.rate))
	m.at(w.free, func() {
		if !m.reg.connected() {
			return
		}
		*w.bytes += uint64(n)
		*w.packets++
		if m.rand.Float64() < m.cfg.Radio.Loss {
			return
		}
		at := m.now.Add(m.cfg.Radio.RTT / 2)
		if j := m.cfg.Radio.Jitter; j > 0 {
			at = at.Add(time.Duration(m.rand.Int64N(int64(j))))
		}
		if at.Before(w.last) {
			at = w.last
		}
		w.last = at
		m.at(at, arrive)
	})
}

// SetRadio changes the link; zero fields get the defaults. Packets that have left are not affected.
func (m *Module) SetRadio(r Radio) {
	m.do(func() { m.cfg.Radio = Config{Radio: r}.withDefaults().Radio })
}
