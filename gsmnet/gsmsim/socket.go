package gsmsim

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// States of a socket as AT+QISTATE shows them.
const (
	sockConnecting = "CONNECTING"
	sockOpen       = "CONNECTED"
	sockClosed     = "CLOSED"
)

// socket is one of the module's six; with AT+QIMUX=0 there is only the first.
type socket struct {
	m      *Module
	index  int
	udp    bool
	host   string
	port   string
	remote string // address and port as shown with received data
	state  string
	flow   *flow
	limit  *event // of the connection attempt

	sent   uint64  // bytes taken for sending
	sends  int     // AT+QISENDs that were complete
	frozen *uint64 // acknowledged bytes shown, while they are frozen

	rx        [][]byte // received, packet by packet
	rxBytes   int
	announced bool // +QIRDI was said and the buffer has not been empty since
}

func (k *socket) network() string {
	if k.udp {
		return "UDP"
	}
	return "TCP"
}

// room is the receive window that is left.
func (k *socket) room() int { return max(0, receiveWindow-k.rxBytes) }

// abandon is the sudden end of the socket.
func (k *socket) abandon() {
	k.limit.stop()
	if k.flow != nil {
		k.flow.abandon()
		k.flow = nil
	}
}

// socketCommand answers the commands about connections.
func (m *Module) socketCommand(c command) result {
	switch c.key() {
	case "+QIOPEN=":
		return m.open(c)
	case "+QICLOSE ", "+QICLOSE=":
		return m.closeSocket(c)
	case "+QISEND ", "+QISEND=":
		return m.sendCommand(c)
	case "+QISENDt":
		m.info("<length>")
		return resOK
	case "+QISACK ", "+QISACK=":
		return m.acknowledged(c)
	case "+QIRD=":
		return m.read(c)
	case "+QIDNSGIP=":
		return m.resolve(c)
	}
	return result{kind: unknown}
}

// target reads the arguments of AT+QIOPEN.
func (m *Module) target(c command) (k *socket, good bool) {
	s := &m.stack
	first := 0
	index := 0
	if s.mux == 1 {
		n, err := strconv.Atoi(c.arg(0))
		if err != nil || n < 0 || n >= len(s.sockets) {
			return nil, false
		}
		index, first = n, 1
	}
	if len(c.args) != first+3 || !c.quoted(first) || !c.quoted(first+1) {
		return nil, false
	}
	if !c.quoted(first+2) && !m.cfg.Model.BarePort {
		return nil, false
	}
	kind := strings.ToUpper(c.arg(first))
	k = &socket{m: m, index: index, udp: kind == "UDP", host: c.arg(first + 1), port: c.arg(first + 2), state: sockConnecting}
	port, err := strconv.ParseUint(k.port, 10, 16)
	if kind != "TCP" && kind != "UDP" || k.host == "" || err != nil || port == 0 {
		return nil, false
	}
	_, err = netip.ParseAddr(k.host)
	isName := err != nil
	if isName && s.dnsIP == 0 || !isName && s.dnsIP == 1 && m.cfg.Model.StrictDNSIP {
		return nil, false
	}
	return k, true
}

// open answers AT+QIOPEN: OK now, the outcome later.
func (m *Module) open(c command) result {
	s := &m.stack
	k, good := m.target(c)
	if !good {
		return resError
	}
	if old := s.sockets[k.index]; old != nil && old.state != sockClosed {
		return m.alreadyOpen(k.index, old)
	}
	switch s.state {
	case ipInitial, ipStatus, ipClose:
	case ipConnectOK, ipConnecting:
		if s.mux == 0 {
			return resError
		}
	default:
		return resError
	}
	if s.state == ipInitial && s.step.pending() {
		return resError
	}
	s.sockets[k.index] = k
	m.then(func() { m.begin(k) })
	return resOK
}

func (m *Module) alreadyOpen(i int, old *socket) result {
	s := &m.stack
	if s.mux == 1 {
		m.then(func() { m.announce(s.tagged(i, "CONNECT FAIL")) })
		return resOK
	}
	if old.state != sockOpen {
		return resError
	}
	switch m.cfg.Model.AlreadyConnect {
	case "after":
		m.then(func() { m.announce("ALREADY CONNECT") })
		return resOK
	case "before":
		m.reply([]byte("\r\nALREADY CONNECT\r\n"))
		return resOK
	}
	return resFinal("ALREADY CONNECT")
}

// begin makes the connection, and the context before it if there is none.
func (m *Module) begin(k *socket) {
	s := &m.stack
	if s.state == ipInitial {
		m.activate(func(good bool) {
			if !good {
				s.sockets[k.index] = nil
				m.announce(s.tagged(k.index, "CONNECT FAIL"))
				return
			}
			m.connect(k)
		})
		return
	}
	m.connect(k)
}

func (m *Module) connect(k *socket) {
	s := &m.stack
	if s.mux == 0 || s.state != ipConnectOK {
		s.state = ipConnecting
	}
	k.limit = m.after(m.cfg.Timing.Connect, func() { k.opened(false) })
	if m.cfg.Faults.StickConnect {
		return
	}
	m.lookUp(k.host, func(address string) {
		if s.sockets[k.index] != k || k.state != sockConnecting {
			return
		}
		if address == "" {
			k.opened(false)
			return
		}
		k.remote = net.JoinHostPort(address, k.port)
		k.flow = m.nat.open(k, net.JoinHostPort(m.nameOf(k.host), k.port))
	})
}

// opened is the outcome of a connection attempt. A failed one stays in TCP CONNECTING until AT+QICLOSE.
func (k *socket) opened(good bool) {
	m, s := k.m, &k.m.stack
	if k.state != sockConnecting {
		return
	}
	k.limit.stop()
	if !good {
		k.abandon()
		k.state = sockClosed
		if s.mux == 0 {
			k.state = sockConnecting
		}
		m.announce(s.tagged(k.index, "CONNECT FAIL"))
		return
	}
	k.state = sockOpen
	s.state = ipConnectOK
	if s.mode == 1 && s.mux == 0 {
		m.announce("CONNECT")
		m.uart.enterData()
		return
	}
	m.announce(s.tagged(k.index, "CONNECT OK"))
}

// closedByPeer is the end of the connection by the server, or by the module's TCP giving up.
func (k *socket) closedByPeer() {
	m, s := k.m, &k.m.stack
	if k.state != sockOpen {
		return
	}
	k.state, k.flow = sockClosed, nil
	if len(s.openSockets()) == 0 {
		s.state = ipClose
	}
	if m.cfg.Model.DropOnClosed {
		k.rx, k.rxBytes = nil, 0
	}
	m.uart.leaveData()
	m.urc(s.tagged(k.index, "CLOSED"))
}

// closeSocket answers AT+QICLOSE.
func (m *Module) closeSocket(c command) result {
	s := &m.stack
	i, good := m.socketIndex(c)
	if !good {
		return resError
	}
	k := s.sockets[i]
	if k == nil || k.state == sockClosed || s.state == ipConfig || s.state == ipInd {
		return resError
	}
	k.limit.stop()
	if k.flow != nil {
		k.flow.shut()
		k.flow = nil
	}
	wait := m.cfg.Timing.Close
	if m.cfg.Faults.SlowClose {
		const slow = 2 * time.Minute // the guide waits 90 s
		wait = slow
	}
	return m.finishIn(wait, func() result {
		if s.sockets[i] == k {
			s.sockets[i] = nil
			if len(s.openSockets()) == 0 && s.state != ipDeact && s.state != ipInitial {
				s.state = ipClose
			}
		}
		if m.cfg.Model.OKBeforeFinal {
			m.final("OK", "0")
		}
		return resFinal(s.tagged(i, "CLOSE OK"))
	})
}

// socketIndex is the socket that a command names; with AT+QIMUX=0 it names none.
func (m *Module) socketIndex(c command) (int, bool) {
	if m.stack.mux == 0 {
		return 0, true
	}
	i, err := strconv.Atoi(c.arg(0))
	return i, err == nil && i >= 0 && i < len(m.stack.sockets)
}
