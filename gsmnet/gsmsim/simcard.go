package gsmsim

// simCard is the card and what the module knows of it.
type simCard struct {
	SIM
	started  bool // the module has read it
	unlocked bool // the PIN was given since power-on, or none is asked for
	pukTries int
}

// pukTries is how often a PUK can be wrong.
const pukTries = 10

func newSIMCard(s SIM) simCard {
	c := simCard{SIM: s, pukTries: pukTries}
	c.Tries = max(0, c.Tries)
	return c
}

// restart is what a reset of the module does: the PIN has to be given again.
func (c *simCard) restart() { c.started, c.unlocked = false, false }

// state is the text of +CPIN.
func (c *simCard) state() string {
	switch {
	case c.Absent:
		return "NOT INSERTED"
	case c.Unready:
		return "SIM BUSY"
	case c.Tries == 0:
		return "SIM PUK"
	case c.PIN != "" && !c.unlocked:
		return "SIM PIN"
	}
	return "READY"
}

func (c *simCard) ready() bool { return c.started && c.state() == "READY" }

// enter tries a PIN, or with newPIN the PUK, and tells whether it was right.
func (c *simCard) enter(code, newPIN string) bool {
	if c.Tries == 0 {
		if newPIN == "" || c.pukTries == 0 {
			return false
		}
		if code != c.PUK {
			c.pukTries--
			return false
		}
		c.PIN, c.Tries, c.pukTries, c.unlocked = newPIN, 3, pukTries, true
		return true
	}
	if code != c.PIN {
		c.Tries--
		return false
	}
	c.Tries, c.unlocked = 3, true
	return true
}

// simCommand answers the commands about the SIM.
func (m *Module) simCommand(c command) result {
	s := &m.sim
	switch c.key() {
	case "+CPIN?":
		return m.queryPIN()
	case "+CPIN=":
		return m.enterPIN(c)
	case "+QTRPIN ": // tries left of PIN, PIN2, PUK and PUK2; few public sources know it
		if m.cfg.Model.NoPINTries {
			return resError
		}
		if s.Absent {
			return resCME(cmeNoSIM)
		}
		m.info("+QTRPIN: %d,3,%d,10", s.Tries, s.pukTries)
	case "+CIMI ":
		if r := m.needSIM(); r.kind != ok {
			return r
		}
		m.info("%s", s.IMSI)
	case "+QCCID ", "+CCID ":
		if s.Absent {
			return resCME(cmeNoSIM)
		}
		if c.name == "+CCID" {
			m.info("+CCID: \"%s\"", s.ICCID)
		} else {
			m.info("%s", s.ICCID)
		}
	case "+QSIMSTAT?":
		inserted := 1
		if s.Absent {
			inserted = 0
		}
		m.info("+QSIMSTAT: 0,%d", inserted)
	case "+QINISTAT ":
		m.info("+QINISTAT: %d", m.power.ready)
	default:
		return result{kind: unknown}
	}
	return resOK
}

func (m *Module) queryPIN() result {
	s := &m.sim
	if !s.started {
		return resCME(cmeSIMBusy)
	}
	if s.Absent && m.cfg.Model.CPINAsCME {
		return resCME(cmeNoSIM)
	}
	m.info("+CPIN: %s", s.state())
	return resOK
}

func (m *Module) enterPIN(c command) result {
	s := &m.sim
	switch {
	case s.Absent:
		return resCME(cmeNoSIM)
	case !s.started:
		return resCME(cmeSIMBusy)
	case s.state() == "READY":
		return resCME(cmeNotAllowed)
	case !s.enter(c.arg(0), c.arg(1)):
		return resCME(cmeWrongPassword)
	}
	m.then(func() {
		m.urc("+CPIN: READY")
		m.reg.update()
	})
	return resOK
}

// needSIM is ok if the SIM can be used.
func (m *Module) needSIM() result {
	switch s := &m.sim; {
	case s.Absent:
		return resCME(cmeNoSIM)
	case !s.started || s.Unready:
		return resCME(cmeSIMBusy)
	case s.state() == "SIM PIN":
		return resCME(cmePINRequired)
	case s.state() == "SIM PUK":
		return resCME(cmePUKRequired)
	}
	return resOK
}

// PINTries returns how many tries of the PIN the card has left; 0: it asks for the PUK.
func (m *Module) PINTries() int {
	var tries int
	m.do(func() { tries = m.sim.Tries })
	return tries
}

// RemoveSIM takes the card out.
func (m *Module) RemoveSIM() {
	m.do(func() {
		if m.sim.Absent {
			return
		}
		m.sim.Absent, m.sim.unlocked = true, false
		m.urc("+CPIN: NOT READY")
		m.reg.update()
	})
}

// InsertSIM puts a card in; the module finds it by itself. The zero SIM is a card without a PIN.
func (m *Module) InsertSIM(s SIM) {
	m.do(func() {
		s = Config{SIM: s}.withDefaults().SIM
		started := m.power.usable
		m.sim = newSIMCard(s)
		m.sim.started = started
		if started {
			m.urc("+CPIN: " + m.sim.state())
			m.reg.update()
		}
	})
}
