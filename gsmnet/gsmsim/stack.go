package gsmsim

import (
	"fmt"
	"strconv"
	"time"
)

// ipState is the state of the TCP/IP stack as AT+QISTAT shows it; its value is the ATV0 number.
type ipState int

const (
	ipInitial ipState = iota
	ipStart
	ipConfig
	ipInd
	ipGPRSAct
	ipStatus
	ipConnecting
	ipClose
	ipConnectOK
	ipDeact
)

var ipStateNames = [...]string{
	"IP INITIAL", "IP START", "IP CONFIG", "IP IND", "IP GPRSACT", "IP STATUS", "TCP CONNECTING",
	"IP CLOSE", "CONNECT OK", "PDP DEACT",
}

// up tells whether a context is there or on its way.
func (s ipState) up() bool { return s != ipInitial }

// activateLimit is how long AT+QIACT tries without a network: the figure of most drivers.
const activateLimit = 150 * time.Second

// apnRefusal is how long an operator takes to refuse an APN.
const apnRefusal = 3 * time.Second

// stack is the module's TCP/IP application: settings, context and sockets.
type stack struct {
	options
	apn, user, password string
	state               ipState
	step                *event // on the way to another state
	address             string
	addresses           int // contexts so far: each gets another address
	sockets             [6]*socket
	dns                 [2]string
	sends               int // AT+QISENDs since the last reset
}

// options are the settings by their commands.
type options struct {
	context int // QIFGCNT
	mux     int
	mode    int // 1: transparent
	indi    int
	dnsIP   int
	head    int
	showRA  int
	showPT  int
	showLA  int
	prompt  int
	echo    int // QISDE
	service int // QISRVC
	urc     int // QIURC
	config  transparentConfig
}

// reset forgets everything, without a word to the other ends.
func (s *stack) reset(m *Module) {
	s.step.stop()
	s.dropSockets()
	addresses := s.addresses
	*s = stack{addresses: addresses, options: options{
		prompt: 1, echo: 1, service: 1, urc: 1, config: defaultTransparent,
	}}
}

// dropSockets lets go of all sockets; the far ends don't hear of it.
func (s *stack) dropSockets() {
	for i, k := range s.sockets {
		if k != nil {
			k.abandon()
			s.sockets[i] = nil
		}
	}
}

// contextLost is the network's end of the context.
func (s *stack) contextLost(m *Module) {
	switch s.state {
	case ipInitial, ipDeact, ipStart, ipConfig, ipInd: // an activation under way fails by itself
		return
	}
	s.step.stop()
	open := s.openSockets()
	s.dropSockets()
	s.state = ipDeact
	if m.cfg.Model.ClosedOnDeact {
		for _, i := range open {
			m.urc(s.tagged(i, "CLOSED"))
		}
	}
	m.uart.leaveData()
	m.urc("+PDP DEACT")
}

func (s *stack) openSockets() []int {
	var open []int
	for i, k := range s.sockets {
		if k != nil && k.state == sockOpen {
			open = append(open, i)
		}
	}
	return open
}

// tagged puts the socket's number before a text when there are several.
func (s *stack) tagged(i int, text string) string {
	if s.mux == 1 {
		return fmt.Sprintf("%d, %s", i, text)
	}
	return text
}

// stackCommand answers the commands about settings and the context.
func (m *Module) stackCommand(c command) result {
	s := &m.stack
	switch c.key() {
	case "+QIREGAPP ", "+QIREGAPP=":
		return m.registerApp(c)
	case "+QIREGAPP?":
		m.info("+QIREGAPP: %s,%s,%s", s.apn, s.user, s.password)
	case "+QIACT ":
		if s.state != ipStart {
			return resError
		}
		return m.activate(func(good bool) {
			if good {
				m.finish(m.uart.run.id, resOK)
			} else {
				m.finish(m.uart.run.id, resError)
			}
		})
	case "+QILOCIP ":
		return m.localAddress()
	case "+QIDEACT ":
		return m.deactivate()
	case "+QISTAT ":
		return m.status()
	case "+QISTATE ":
		return m.socketStates()
	default:
		return m.settingCommand(c)
	}
	return resOK
}

// registerApp answers AT+QIREGAPP. Its OK comes before the state is IP START.
func (m *Module) registerApp(c command) result {
	s := &m.stack
	if s.state != ipInitial || s.step.pending() {
		return resError
	}
	if c.op == '=' {
		s.apn, s.user, s.password = c.arg(0), c.arg(1), c.arg(2)
	}
	m.then(func() {
		s.step = m.after(m.cfg.Timing.Settle, func() { s.state = ipStart })
	})
	return resOK
}

// activate brings the context up and calls done, on the module's goroutine, if that was not
// given up meanwhile. It ends in IP GPRSACT, or on failure in PDP DEACT.
func (m *Module) activate(done func(good bool)) result {
	s := &m.stack
	s.state = ipConfig
	end := func(state ipState) func() {
		return func() {
			s.state = state
			done(state == ipGPRSAct)
		}
	}
	if m.cfg.Faults.StickActivate {
		s.state = ipInd
		return resRunning
	}
	if apn := m.cfg.Network.APN; m.cfg.Faults.RefuseActivate || apn != "" && s.apn != apn {
		s.step = m.after(apnRefusal, end(ipDeact))
		return resRunning
	}
	limit := m.now.Add(activateLimit)
	took := m.cfg.Timing.Activate
	var attempt func()
	attempt = func() {
		switch {
		case m.reg.connected():
			s.addresses++
			s.address = fmt.Sprintf("10.64.%d.%d", s.addresses/250%250, s.addresses%250+1)
			end(ipGPRSAct)()
		case m.now.After(limit):
			end(ipDeact)()
		default:
			s.step = m.after(time.Second, attempt)
		}
	}
	s.step = m.after(took, attempt)
	return resRunning
}

// localAddress answers AT+QILOCIP: the address, without an OK. It is a step of the bring-up too.
func (m *Module) localAddress() result {
	s := &m.stack
	switch s.state {
	case ipGPRSAct:
		s.state = ipStatus
	case ipStatus, ipConnecting, ipClose, ipConnectOK:
	default:
		return resError
	}
	m.reply([]byte("\r\n" + s.address + "\r\n"))
	return resSilent
}

func (m *Module) deactivate() result {
	s := &m.stack
	if s.state == ipInitial && !s.step.pending() {
		return resError
	}
	if m.cfg.Faults.StickDeactivate {
		return resRunning
	}
	s.step.stop()
	return m.finishIn(m.cfg.Timing.Deactivate, func() result {
		s.dropSockets()
		s.state, s.address = ipInitial, ""
		if m.cfg.Model.OKBeforeFinal {
			m.final("OK", "0")
		}
		return resFinal("DEACT OK")
	})
}

// status answers AT+QISTAT: with one socket OK first, and the state behind it.
func (m *Module) status() result {
	s := &m.stack
	if s.mux == 1 {
		for i, k := range s.sockets {
			if k == nil {
				m.info(`+QISTAT: %d,"","",`, i)
				continue
			}
			m.info(`+QISTAT: %d,%q,%q,%s`, i, k.network(), k.host, k.port)
		}
		return resOK
	}
	m.then(func() { m.stateLine() })
	return resOK
}

func (m *Module) stateLine() {
	s := &m.stack
	if !m.uart.verbose {
		m.raw(fmt.Appendf(nil, "STATE: %d\r\n", s.state))
		return
	}
	name := ipStateNames[s.state]
	if k := s.sockets[0]; s.mux == 0 && s.state == ipConnecting && k != nil && k.udp {
		name = "UDP CONNECTING"
	}
	if s.mux == 1 && len(s.openSockets()) > 0 {
		name = "IP PROCESSING"
	}
	m.raw([]byte("\r\nSTATE: " + name + "\r\n"))
}

// socketStates answers AT+QISTATE, which has an OK at either end.
func (m *Module) socketStates() result {
	m.final("OK", "0")
	m.flush()
	m.stateLine()
	for i, k := range m.stack.sockets {
		if k == nil {
			m.info(`+QISTATE: %d,"","","","INITIAL"`, i)
			continue
		}
		m.info(`+QISTATE: %d,%q,%q,%q,%q`, i, k.network(), k.host, k.port, k.state)
	}
	return resOK
}

// setting is a number that one command sets and shows.
type setting struct {
	value    *int
	min, max int
	early    bool // refused while a context is up
}

func (m *Module) setting(name string) (setting, bool) {
	o := &m.stack.options
	switch name {
	case "+QIFGCNT":
		return setting{&o.context, 0, 1, true}, true
	case "+QIMUX":
		return setting{&o.mux, 0, 1, true}, true
	case "+QIMODE":
		return setting{&o.mode, 0, 1, true}, true
	case "+QINDI":
		return setting{&o.indi, 0, 2, false}, true
	case "+QIDNSIP":
		return setting{&o.dnsIP, 0, 1, false}, true
	case "+QIHEAD":
		return setting{&o.head, 0, 1, false}, true
	case "+QISHOWRA":
		return setting{&o.showRA, 0, 1, false}, true
	case "+QISHOWPT":
		return setting{&o.showPT, 0, 1, false}, true
	case "+QISHOWLA":
		return setting{&o.showLA, 0, 1, false}, true
	case "+QIPROMPT":
		return setting{&o.prompt, 0, 2, false}, true
	case "+QISDE":
		return setting{&o.echo, 0, 1, false}, true
	case "+QISRVC":
		return setting{&o.service, 1, 2, false}, true
	case "+QIURC":
		return setting{&o.urc, 0, 1, false}, true
	}
	return setting{}, false
}

func (m *Module) settingCommand(c command) result {
	s := &m.stack
	switch c.key() {
	case "+QICSGP=":
		return m.setAPN(c)
	case "+QICSGP?":
		m.info(`+QICSGP: 1,"%s","%s","%s"`, s.apn, s.user, s.password)
		return resOK
	case "+QITCFG=":
		return s.config.set(c)
	case "+QITCFG?":
		m.info("+QITCFG: %s", s.config)
		return resOK
	case "+QIDNSCFG=":
		s.dns = [2]string{c.arg(0), c.arg(1)}
		return resOK
	case "+QIDNSCFG?":
		m.info("PrimaryDns: %s", s.dns[0])
		m.info("SecondaryDns: %s", s.dns[1])
		return resOK
	}
	v, found := m.setting(c.name)
	switch {
	case !found:
		return result{kind: unknown}
	case c.op == '?':
		m.info("%s: %d", c.name, *v.value)
		return resOK
	case c.op == 't':
		m.info("%s: (%d-%d)", c.name, v.min, v.max)
		return resOK
	case c.op != '=':
		return resError
	case v.early && s.state.up():
		return resError
	}
	if n, err := strconv.Atoi(c.arg(0)); m.cfg.Model.RefuseRepeated && err == nil && n == *v.value {
		return resError
	}
	if setInt(v.value, c, v.min, v.max).kind != ok {
		return resError
	}
	return resOK
}

// setAPN answers AT+QICSGP=1,"apn"[,"user","password"]; the form of newer modules is an ERROR.
func (m *Module) setAPN(c command) result {
	s := &m.stack
	if s.state.up() || c.arg(0) != "1" || len(c.args) > 4 || !c.quoted(1) {
		return resError
	}
	s.apn, s.user, s.password = c.arg(1), c.arg(2), c.arg(3)
	return resOK
}

// setInt sets *p from the only argument of c.
func setInt(p *int, c command, least, most int) result {
	n, err := strconv.Atoi(c.arg(0))
	if err != nil || n < least || n > most || len(c.args) != 1 {
		return resCME(cmeBadParameters)
	}
	*p = n
	return resOK
}
