package gsmsim

import (
	"bytes"
	"slices"
	"strconv"
)

// maxSend is the most bytes of one AT+QISEND.
const maxSend = 1460

const (
	ctrlZ  = 0x1a
	escape = 0x1b
)

// prompt is an AT+QISEND that waits for its data.
type prompt struct {
	sock *socket
	size int // promised bytes; 0: up to Ctrl-Z
	data []byte
}

// sendCommand answers AT+QISEND with the prompt "\r\n> ", which no line end follows.
func (m *Module) sendCommand(c command) result {
	s := &m.stack
	size := c.arg(0)
	if s.mux == 1 {
		size = c.arg(1)
		if len(c.args) == 0 {
			return resError
		}
	}
	i, good := m.socketIndex(c)
	if !good || s.sockets[i] == nil || s.sockets[i].state != sockOpen {
		return resError
	}
	n := 0
	if size != "" {
		var err error
		if n, err = strconv.Atoi(size); err != nil || n < 1 || n > maxSend {
			return resError
		}
	}
	if m.cfg.Faults.NoPrompt > 0 {
		m.cfg.Faults.NoPrompt--
		return resSilent
	}
	m.then(func() {
		if s.options.prompt == 1 {
			m.raw([]byte("\r\n> "))
		}
		m.uart.prompt = prompt{sock: s.sockets[i], size: n}
		m.uart.mode = modePrompt
	})
	return resSilent
}

// promptInput takes payload and returns how many bytes it took. All promised bytes are taken,
// whatever they are: the module has no way to know that some were lost.
func (u *uart) promptInput(b []byte) int {
	p := &u.prompt
	if p.size > 0 {
		n := min(len(b), p.size-len(p.data))
		p.data = append(p.data, b[:n]...)
		u.echoPayload(b[:n])
		if len(p.data) == p.size {
			u.payloadComplete()
		}
		return n
	}
	end := bytes.IndexAny(b, string(rune(ctrlZ))+string(rune(escape)))
	n := len(b)
	if end >= 0 {
		n = end
	}
	u.echoPayload(b[:n])
	for _, c := range b[:n] {
		switch {
		case c == '\b':
			p.data = p.data[:max(0, len(p.data)-1)]
		case len(p.data) < maxSend:
			p.data = append(p.data, c)
		}
	}
	switch {
	case end < 0:
		return n
	case b[end] == escape:
		u.abandonPrompt()
	default:
		u.payloadComplete()
	}
	return n + 1
}

// echoPayload is the echo of AT+QISDE, which ATE does not touch.
func (u *uart) echoPayload(b []byte) {
	if u.m.stack.options.echo == 1 {
		u.m.raw(b)
	}
}

func (u *uart) abandonPrompt() {
	u.prompt = prompt{}
	u.mode = modeCommand
	switch reply := u.m.cfg.Model.EscapeReply; reply {
	case "":
		u.m.announce("OK")
	case "none":
	default:
		u.m.announce(reply)
	}
}

// payloadComplete hands the data to TCP and answers.
func (u *uart) payloadComplete() {
	m := u.m
	p := u.prompt
	u.prompt = prompt{}
	u.mode = modeCommand
	u.run = run{busy: true, id: u.run.id + 1}
	m.finishIn(m.cfg.Timing.Answer, func() result {
		answer := m.transfer(p.sock, p.data)
		if answer == "SEND OK" && m.stack.options.prompt == 2 {
			return resSilent
		}
		return resFinal(answer)
	})
}

// transfer puts a payload into the socket's send window and returns the answer to AT+QISEND.
func (m *Module) transfer(k *socket, data []byte) string {
	f := &m.cfg.Faults
	if k.state != sockOpen || k.flow == nil {
		return "SEND FAIL"
	}
	m.stats.Sends++
	k.sends++
	m.stack.sends++
	if f.ResetAfterSends > 0 && m.stack.sends >= f.ResetAfterSends {
		m.after(0, m.switchOn)
	}
	if f.FailSends > 0 {
		f.FailSends--
		return "SEND FAIL"
	}
	defer m.cutAfterSend(k)
	if len(data) == 0 {
		return "SEND OK"
	}
	if k.udp {
		k.sent += uint64(len(data))
		k.flow.datagramUp(data)
		return "SEND OK"
	}
	if k.unacked()+len(data) > sendWindow {
		return "SEND FAIL"
	}
	k.sent += uint64(len(data))
	k.flow.module.send(slices.Clone(data))
	return "SEND OK"
}

// cutAfterSend breaks the connection after as many sends as Faults.CutAfterSends says.
func (m *Module) cutAfterSend(k *socket) {
	n := m.cfg.Faults.CutAfterSends
	if n == 0 || k.sends < n {
		return
	}
	m.after(m.cfg.Timing.Answer, func() {
		if k.flow == nil {
			return
		}
		if f := k.flow; f.module != nil && f.far != nil {
			f.serverGone()
			f.moduleGaveUp()
			f.module.stop()
		}
	})
}

// unacked is the part of what was sent that the peer has not acknowledged, as far as the module shows it.
func (k *socket) unacked() int { return int(k.sent - k.ackedBytes()) }

func (k *socket) ackedBytes() uint64 {
	if k.udp || k.flow == nil || k.flow.module == nil {
		return 0
	}
	now := min(k.flow.module.una, k.sent)
	if !k.m.cfg.Faults.FreezeAcks {
		k.frozen = nil
		return now
	}
	if k.frozen == nil {
		k.frozen = &now
	}
	return *k.frozen
}

// acknowledged answers AT+QISACK: totals of the connection.
func (m *Module) acknowledged(c command) result {
	s := &m.stack
	m.stats.Polls++
	if s.mux == 1 && c.op != '=' {
		return resError
	}
	i, good := m.socketIndex(c)
	if !good || s.sockets[i] == nil || s.sockets[i].state != sockOpen {
		return resError
	}
	k := s.sockets[i]
	m.info("+QISACK: %d, %d, %d", k.sent, k.ackedBytes(), k.unacked())
	return resOK
}
