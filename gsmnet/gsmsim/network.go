package gsmsim

import (
	"fmt"
	"time"
)

// Registration states of +CREG and +CGREG.
const (
	regOff       = 0
	regHome      = 1
	regSearching = 2
	regDenied    = 3
	regRoaming   = 5
)

// attachLimit is how long AT+CGATT=1 tries. The guide waits 180 s for it.
const attachLimit = 75 * time.Second

// registration is how the module stands with the operator.
type registration struct {
	m        *Module
	covered  bool
	signal   int
	fun      int  // AT+CFUN
	detached bool // by AT+CGATT=0
	reports  int  // AT+CREG=n
	gReports int  // AT+CGREG=n

	stat     int
	attached bool
	step     *event // next step of registering
	lose     *event // end of the context for want of coverage
}

func (r *registration) init(m *Module) {
	r.m = m
	r.covered, r.signal, r.fun = true, m.cfg.Radio.Signal, 1
}

// restart is what a reset of the module does; coverage is not the module's to change.
func (r *registration) restart() {
	r.step.stop()
	r.lose.stop()
	*r = registration{m: r.m, covered: r.covered, signal: r.signal, fun: 1}
}

func (r *registration) registered() bool { return r.stat == regHome || r.stat == regRoaming }

// connected tells whether packets move.
func (r *registration) connected() bool { return r.covered && r.attached }

// update follows a change of SIM, coverage, AT+CFUN or of the operator's mind.
func (r *registration) update() {
	m := r.m
	lost := ""
	switch {
	case r.fun != 1 || !m.sim.ready():
		r.leave(regOff)
		lost = "off"
	case m.cfg.Network.Denied:
		r.leave(regDenied)
		lost = "denied"
	case !r.covered:
		r.leave(regSearching)
	}
	if lost != "" {
		m.stack.contextLost(m)
		return
	}
	if !r.covered {
		if d := m.cfg.Network.LoseAfter; d > 0 && !r.lose.pending() {
			r.lose = m.after(d, func() { m.stack.contextLost(m) })
		}
		return
	}
	r.lose.stop()
	if r.registered() {
		r.attach()
		return
	}
	r.setStat(regSearching)
	if !r.step.pending() {
		r.step = m.after(m.cfg.Network.Register, func() {
			r.setStat(r.home())
			m.clock.networkTime(m)
			r.attach()
		})
	}
}

func (r *registration) home() int {
	if r.m.cfg.Network.Roaming {
		return regRoaming
	}
	return regHome
}

// attach goes on from registered to attached.
func (r *registration) attach() {
	m := r.m
	if r.attached || r.detached || m.cfg.Network.NoGPRS || !r.registered() || r.step.pending() {
		return
	}
	r.step = m.after(m.cfg.Network.Attach, func() { r.setAttached(true) })
}

func (r *registration) leave(stat int) {
	r.step.stop()
	r.setAttached(false)
	r.setStat(stat)
}

func (r *registration) setStat(stat int) {
	if r.stat == stat {
		return
	}
	r.stat = stat
	if r.reports > 0 {
		r.m.urc("+CREG: " + r.place(stat, r.reports))
	}
}

func (r *registration) gStat() int {
	if r.attached {
		return r.home()
	}
	if r.registered() {
		return regSearching
	}
	return r.stat
}

func (r *registration) setAttached(attached bool) {
	if r.attached == attached {
		return
	}
	r.attached = attached
	if r.gReports > 0 {
		r.m.urc("+CGREG: " + r.place(r.gStat(), r.gReports))
	}
}

// place is a registration state, with the cell if n is 2.
func (r *registration) place(stat, n int) string {
	text := fmt.Sprint(stat)
	if n == 2 && (stat == regHome || stat == regRoaming) {
		text += fmt.Sprintf(",%q,%q", r.m.cfg.Network.LAC, r.m.cfg.Network.Cell)
	}
	return text
}

// csq is the signal as AT+CSQ shows it.
func (r *registration) csq() int {
	if !r.covered || r.fun != 1 || !r.m.power.usable {
		return 99
	}
	return r.signal
}

// SetCoverage takes the module out of coverage, or back into it. Outside no packet moves; the context and
// the connections stay until TCP gives up or Network.LoseAfter has passed.
func (m *Module) SetCoverage(covered bool) {
	m.do(func() {
		if m.reg.covered != covered {
			m.reg.covered = covered
			m.reg.update()
		}
	})
}

// SetSignal sets the strength that AT+CSQ shows in coverage, 0 to 31.
func (m *Module) SetSignal(rssi int) { m.do(func() { m.reg.signal = rssi }) }

// SetDenied makes the operator refuse the SIM, or take it again.
func (m *Module) SetDenied(denied bool) {
	m.do(func() {
		m.cfg.Network.Denied = denied
		m.reg.update()
	})
}

// DropContext makes the network end the context: +PDP DEACT.
func (m *Module) DropContext() { m.do(func() { m.stack.contextLost(m) }) }

// networkCommand answers the commands about the network.
func (m *Module) networkCommand(c command) result {
	r := &m.reg
	switch c.key() {
	case "+CSQ ":
		m.info("+CSQ: %d,%d", r.csq(), berOf(r.csq()))
	case "+CREG?":
		m.info("+CREG: %d,%s", r.reports, r.place(r.stat, r.reports))
	case "+CGREG?":
		m.info("+CGREG: %d,%s", r.gReports, r.place(r.gStat(), r.gReports))
	case "+CREG=":
		return setInt(&r.reports, c, 0, 2)
	case "+CGREG=":
		return setInt(&r.gReports, c, 0, 2)
	case "+CGATT?":
		m.info("+CGATT: %d", number(r.attached))
	case "+CGATT=":
		return m.setAttach(c)
	case "+COPS?":
		if !r.registered() {
			m.info("+COPS: 0")
		} else {
			m.info("+COPS: 0,0,%q", m.cfg.Network.Operator)
		}
	case "+COPS=":
		return resOK
	case "+CFUN?":
		m.info("+CFUN: %d", r.fun)
	case "+CFUN=":
		return m.setFunction(c)
	case "+QENG=":
		return setInt(&m.clock.engineering, c, 0, 2)
	case "+QENG?":
		m.cellInfo()
	case "+QNSTATUS ":
		m.info("+QNSTATUS: %d", number(!r.connected()))
	default:
		return m.clockCommand(c)
	}
	return resOK
}

func berOf(rssi int) int {
	if rssi == 99 {
		return 99
	}
	return 0
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *Module) cellInfo() {
	m.info("+QENG: %d,0", m.clock.engineering)
	n := m.cfg.Network
	if !m.reg.registered() {
		m.info("+QENG: 0,x,x,x,x,x,x,x,x,x,x,x,x,x,x")
		return
	}
	m.info("+QENG: 0,%s,%s,%s,%s,60,23,%d,x,x,x,x,x,x,x", n.MCC, n.MNC, n.LAC, n.Cell, -113+2*m.reg.signal)
}

func (m *Module) setAttach(c command) result {
	r := &m.reg
	switch c.arg(0) {
	case "0":
		r.detached = true
		m.stack.contextLost(m)
		r.step.stop()
		r.setAttached(false)
		return resOK
	case "1":
		r.detached = false
		r.update()
		return m.awaitAttach(m.now.Add(attachLimit))
	}
	return resCME(cmeBadParameters)
}

// awaitAttach ends the running AT+CGATT=1 once attached, or with an error at the limit.
func (m *Module) awaitAttach(limit time.Time) result {
	const look = 100 * time.Millisecond
	id := m.uart.run.id
	var check func()
	check = func() {
		switch {
		case m.uart.run.id != id:
		case m.reg.attached:
			m.finish(id, resOK)
		case m.now.After(limit):
			m.finish(id, resCME(cmeNotAllowed))
		default:
			m.after(look, check)
		}
	}
	m.after(0, check)
	return resRunning
}

func (m *Module) setFunction(c command) result {
	if !m.power.usable {
		return resError
	}
	if c.arg(1) == "1" {
		m.then(func() { m.after(m.cfg.Timing.Answer, m.switchOn) })
		return resOK
	}
	switch c.arg(0) {
	case "0", "1", "4":
	default:
		return resCME(cmeBadParameters)
	}
	const switching = 500 * time.Millisecond // the radio part stops or starts
	return m.finishIn(switching, func() result {
		was := m.reg.fun
		m.reg.fun = int(c.arg(0)[0] - '0')
		if was != 1 && m.reg.fun == 1 {
			m.then(func() { m.urc("+CPIN: " + m.sim.state()) })
		}
		m.reg.update()
		return resOK
	})
}
