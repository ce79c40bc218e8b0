package gsmsim

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Module is a simulated module. Its fields below the first block belong to the owner goroutine.
type Module struct {
	cfg   Config // set once in New; Network, Radio, SIM and Faults change on the owner goroutine
	calls chan func()
	quit  chan struct{} // closed by Close
	done  chan struct{} // closed when the owner goroutine has ended
	close sync.Once
	wg    sync.WaitGroup // every goroutine that the module started

	schedule
	rand  *rand.Rand
	stats Stats
	line  line
	uart  uart
	power power
	sim   simCard
	reg   registration
	clock clock
	stack stack
	air   air
	nat   nat
}

// New makes a module and starts it: unless Config.Off is set, it boots at once. Plug it in with
// Wire or PTY, and end it with Close.
func New(cfg Config) *Module {
	m := &Module{
		cfg:   cfg.withDefaults(),
		calls: make(chan func()),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
		rand:  rand.New(rand.NewPCG(cfg.Seed, 0x67736d)),
	}
	m.now = time.Now()
	m.line.init(m)
	m.air.init(m)
	m.nat.init(m)
	m.uart.init(m)
	m.sim = newSIMCard(m.cfg.SIM)
	m.reg.init(m)
	if !m.cfg.Off {
		m.switchOn()
	}
	m.wg.Go(m.run)
	return m
}

// run is the owner goroutine.
func (m *Module) run() {
	defer close(m.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		m.runUntil(time.Now())
		var wake <-chan time.Time
		if at, ok := m.next(); ok {
			timer.Reset(time.Until(at))
			wake = timer.C
		}
		select {
		case f := <-m.calls:
			m.runUntil(time.Now())
			f()
		case <-wake:
		case <-m.quit:
			m.line.unplug()
			m.nat.closeAll()
			return
		}
	}
}

// post has f done on the owner goroutine, and reports false if the module is closed.
func (m *Module) post(f func()) bool {
	select {
	case m.calls <- f:
		return true
	case <-m.done:
		return false
	}
}

// do is post that waits for the end of f.
func (m *Module) do(f func()) bool {
	finished := make(chan struct{})
	if !m.post(func() { f(); close(finished) }) {
		return false
	}
	<-finished
	return true
}

// Close unplugs the line, closes all connections and waits until every goroutine has ended.
func (m *Module) Close() error {
	m.close.Do(func() { close(m.quit) })
	m.wg.Wait()
	return nil
}

// Stats returns the counters so far, also after Close.
func (m *Module) Stats() Stats {
	var s Stats
	if !m.do(func() { s = m.stats }) {
		s = m.stats // the owner goroutine has ended
	}
	return s
}

// Stats counts what a module did since New.
type Stats struct {
	Commands   uint64 // AT commands, each one of a chained line
	Overlapped uint64 // lines that began before the answer to the line before was complete
	Sends      uint64 // AT+QISEND that got their data
	Polls      uint64 // AT+QISACK
	Reads      uint64 // AT+QIRD
	Boots      uint64 // times the module came up
	Connects   uint64 // connections established with a server

	SerialIn  uint64 // bytes from the host
	SerialOut uint64 // bytes to the host
	Overrun   uint64 // bytes lost because an end did not take them

	// On the air, whether they got through or not; IP packets with 40 bytes of headers for TCP
	// and 28 for UDP, acknowledgements and connection set-up included.
	AirUp, AirDown         uint64 // bytes
	PacketsUp, PacketsDown uint64
	DataUp, DataDown       uint64 // bytes of payload among them, repeats included
	Resent                 uint64 // segments sent again, either way
	Forgotten              uint64 // packets that the NAT dropped
}
