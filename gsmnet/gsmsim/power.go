package gsmsim

import "time"

// How the power pins are read (M95 and M66 hardware design).
const (
	keyOnAfter    = 800 * time.Millisecond // PWRKEY low until STATUS rises
	keyOffAfter   = 600 * time.Millisecond // PWRKEY low on a running module: it is a toggle
	emergOffAfter = 20 * time.Millisecond  // EMERG_OFF low
)

// When the boot reports come after the first one, RDY.
const (
	cfunAfter      = 200 * time.Millisecond
	cpinAfter      = 1200 * time.Millisecond
	callReadyAfter = 3 * time.Second
	smsReadyAfter  = 4 * time.Second
)

type powerState uint8

const (
	powerOff powerState = iota
	powerBooting
	powerOn
	powerLoggingOff
)

// power is the module's supply and switch.
type power struct {
	state     powerState
	unplugged bool // no supply
	usable    bool // the SIM was reported, so commands such as AT+CFUN=4 are accepted
	ready     int  // AT+QINISTAT: 0 start, 1 AT works, 2 phone book done, 3 SMS done
	key       bool
	keyEvent  *event
	emerg     bool
	emergFrom time.Time
	boot      []*event // what is still to come of the boot
}

func (p *power) answers() bool { return p.state == powerOn }
func (p *power) running() bool { return p.state == powerOn || p.state == powerLoggingOff }

// switchOn boots the module from whatever state it is in; all that was not stored is gone.
func (m *Module) switchOn() {
	m.stopAll()
	m.stats.Boots++
	p := &m.power
	p.state = powerBooting
	boot := func(d time.Duration, f func()) {
		p.boot = append(p.boot, m.after(m.cfg.Timing.Boot+d, f))
	}
	boot(0, func() {
		p.state, p.ready = powerOn, 1
		m.urc("RDY")
	})
	boot(cfunAfter, func() { m.urc("+CFUN: 1") })
	boot(cpinAfter, func() {
		p.usable = true
		m.sim.started = true
		m.urc("+CPIN: " + m.sim.state())
		m.reg.update()
	})
	boot(callReadyAfter, func() {
		p.ready = 2
		if m.sim.ready() {
			m.startURC("Call Ready")
		}
	})
	boot(smsReadyAfter, func() {
		p.ready = 3
		if m.cfg.Model.SMSReady && m.sim.ready() {
			m.startURC("SMS Ready")
		}
	})
}

// switchOff stops the module as if it had lost its supply.
func (m *Module) switchOff() {
	m.stopAll()
	m.power.state = powerOff
}

// stopAll ends everything that the module was at.
func (m *Module) stopAll() {
	for _, e := range m.power.boot {
		e.stop()
	}
	m.power.boot, m.power.usable, m.power.ready = nil, false, 0
	m.cfg.Faults.Hang = false
	m.line.clear()
	m.line.gate(m.cfg.Faults.HoldFlow)
	m.uart.restart()
	m.stack.reset(m)
	m.sim.restart()
	m.clock = clock{since: m.now}
	m.reg.restart()
}

// logOff is the orderly way out: the module tells the network, and then is off.
func (m *Module) logOff() {
	m.urc("NORMAL POWER DOWN")
	m.power.state = powerLoggingOff
	m.power.boot = append(m.power.boot, m.after(m.cfg.Timing.LogOff, m.switchOff))
}

// SetPowerKey pulls the PWRKEY pin low, or lets it go. Low for 0.8 s switches a module on that
// is off; low for 0.6 s switches a running one OFF, with 2 to 12 s of log-off during which
// no command works.
func (m *Module) SetPowerKey(low bool) {
	m.do(func() {
		p := &m.power
		if p.key == low {
			return
		}
		p.key = low
		p.keyEvent.stop()
		if low {
			m.keyPressed()
		}
	})
}

func (m *Module) keyPressed() {
	p := &m.power
	switch {
	case p.unplugged:
	case p.state == powerOff:
		p.keyEvent = m.after(keyOnAfter, m.switchOn)
	case p.state != powerLoggingOff:
		p.keyEvent = m.after(keyOffAfter, m.logOff)
	}
}

// SetEmergOff pulls the EMERG_OFF pin low, or lets it go. Released after 20 ms or more the
// module is off at once, without a word to anyone. It is switched on again by the power key.
func (m *Module) SetEmergOff(low bool) {
	m.do(func() {
		p := &m.power
		if low && !p.emerg {
			p.emergFrom = m.now
		}
		if !low && p.emerg && m.now.Sub(p.emergFrom) >= emergOffAfter {
			m.switchOff()
		}
		p.emerg = low
	})
}

// SetSupply cuts the supply, or gives it back. A module whose supply is back stays off until
// the power key is pressed; if that is held low, as on boards that tie it to ground, it starts by itself.
func (m *Module) SetSupply(on bool) {
	m.do(func() {
		p := &m.power
		if on == !p.unplugged {
			return
		}
		p.unplugged = !on
		p.keyEvent.stop()
		if !on {
			m.switchOff()
		} else if p.key {
			m.keyPressed()
		}
	})
}

// Status is the STATUS pin: high while the module is on or on its way up or down.
func (m *Module) Status() bool {
	var on bool
	m.do(func() { on = m.power.state != powerOff })
	return on
}

// Reboot resets the module without warning, as a brown-out in a transmit burst does.
func (m *Module) Reboot() {
	m.do(func() {
		if m.power.state != powerOff {
			m.switchOn()
		}
	})
}

// WarnVoltage reports a supply problem: "UNDER_VOLTAGE WARNING", "OVER_VOLTAGE WARNING", or with
// POWER DOWN instead, after which the module is off.
func (m *Module) WarnVoltage(text string) {
	m.do(func() {
		shown := text
		if m.cfg.Model.WarningSpace {
			shown += " "
		}
		m.urc(shown)
		if text == "UNDER_VOLTAGE POWER DOWN" || text == "OVER_VOLTAGE POWER DOWN" {
			m.power.state = powerLoggingOff
			m.power.boot = append(m.power.boot, m.after(time.Second, m.switchOff))
		}
	})
}

// startURC reports a step of the start, unless AT+QIURC=0 has switched that off.
func (m *Module) startURC(text string) {
	if m.stack.urc == 1 {
		m.urc(text)
	}
}
