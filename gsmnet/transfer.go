package gsmnet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// answerSoon is when to look for the peer's answer without an announcement: a little more than a round trip on GPRS.
const answerSoon = 3 * time.Second

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// retrySend is how long a module that refused a send is left alone.
const retrySend = time.Second

// send hands the module what waits, up to 1460 bytes. On the wire (G4.3, G4.4), and with Config.FreeSend (G4.1):
//
//	AT+QISEND=36 → "> ", 36 bytes → SEND OK
//	AT+QISEND → "> ", 36 bytes, Ctrl-Z → SEND OK
func (m *Modem) send(s *socket) {
	n := s.sendable(time.Now())
	c := at.Command{
		Line: fmt.Sprintf("AT+QISEND=%d", n), Accept: sendReply, Payload: s.conn.peek(n), MayEcho: m.owner.mayEcho,
		Prompt: m.cfg.PromptTimeout, Timeout: m.cfg.SendTimeout,
	}
	const edit = "\b\x1a\x1b" // delete, send, abandon (G4.2)
	if m.cfg.FreeSend && !bytes.ContainsAny(c.Payload, edit) {
		c.Line, c.Payload, c.FreeForm = "AT+QISEND", append(c.Payload, 0x1A), true
	}
	r, err := m.do(c)
	var refused *at.Error
	switch {
	case m.owner.sock != s: // something has ended the connection meanwhile
	case err == nil:
		m.taken(s, n)
	case s.conn.datagrams() && (isRefusal(err) || errors.Is(err, at.ErrTimeout)):
		s.conn.sent(n) // a datagram may get lost, and the counts of G4.5 don't tell (G4.6)
		m.count(func(st *Stats) { st.SendFails++ })
		m.diagnose(s)
	case errors.As(err, &refused) && (refused.Result == "SEND FAIL" || r.Prompted && !s.remoteClosed):
		m.settle(s, n)
	case errors.As(err, &refused):
		m.diagnose(s)
	case errors.Is(err, at.ErrTimeout) && m.owner.fatal == nil:
		m.settle(s, n)
	}
}

func sendReply(line string) at.Verdict {
	switch line {
	case "SEND OK":
		return at.Done
	case "SEND FAIL":
		return at.Failed
	case "OK":
		return at.Foreign
	}
	return at.Final(line)
}

var errUnsettled = errors.New("it is not known whether a send was taken")

func (m *Modem) taken(s *socket, n int) {
	s.fails = 0
	s.conn.sent(n)
	if !s.conn.datagrams() {
		s.win.onSent(n, s.want(), time.Now())
	}
	m.count(func(st *Stats) { st.Sends++; st.PayloadOut += uint64(n) })
}

// settle finds out whether the module has taken n bytes after a send that did not end in SEND OK: its own count tells. On the
// wire (G4.5):
//
//	AT+QISACK → +QISACK: 9, 9, 0, OK
func (m *Modem) settle(s *socket, n int) {
	a, err := m.askAcks()
	if m.owner.sock != s || m.owner.fatal != nil {
		return
	}
	switch {
	case isRefusal(err):
		if m.diagnose(s); m.owner.sock == s && !s.remoteClosed {
			m.breakSocket(CauseProtocol, errUnsettled) // sent again, it might be in the stream twice
		}
	case err != nil:
		m.breakSocket(CauseProtocol, errUnsettled)
	case a.sent == s.win.sent+uint64(n):
		m.taken(s, n)
		m.acknowledged(s, a)
	case a.sent == s.win.sent:
		m.acknowledged(s, a)
		s.fails++
		s.win.refused()
		s.holdUntil = time.Now().Add(retrySend)
		s.win.hurry(time.Now())
		m.count(func(st *Stats) { st.SendFails++ })
		const tooMany = 20 // as many questions as G4.9 grants
		if s.fails >= tooMany {
			m.breakSocket(CauseLink, errors.New("the module takes no more data"))
		}
	default:
		m.breakSocket(CauseProtocol, errors.New("the module has taken a part of a send"))
	}
}

// poll asks what the peer has acknowledged (G4.5, G4.8).
func (m *Modem) poll(s *socket) {
	a, err := m.askAcks()
	switch {
	case m.owner.sock != s || m.owner.fatal != nil:
	case err == nil:
		m.acknowledged(s, a)
	case isRefusal(err):
		m.diagnose(s)
	case errors.Is(err, errNonsense):
		m.nonsense(s)
	default: // no answer; the dialogue is in step again, so ask again
		s.win.onAck(s.win.acked, s.want(), time.Now())
	}
}

var (
	errNonsense = errors.New("the answer can't be")
	errUntold   = errors.New("the answer is an OK that tells nothing")
)

func (m *Modem) askAcks() (acks, error) {
	r, err := m.do(at.Command{Line: "AT+QISACK", Accept: at.Prefixed("+QISACK:"), Timeout: m.cfg.CommandTimeout})
	m.count(func(st *Stats) { st.Polls++ })
	if err != nil {
		return acks{}, err
	}
	if len(r.Lines) == 0 {
		return acks{}, errUntold
	}
	a, err := parseAcks(r.Lines[len(r.Lines)-1])
	if err != nil {
		return acks{}, errNonsense
	}
	return a, nil
}

// acknowledged takes an answer to AT+QISACK if it can be true: never more sent than we have handed over, never less acknowledged
// than before. Whatever else it says is counted and ignored, and three times in a row end the connection.
func (m *Modem) acknowledged(s *socket, a acks) {
	if a.sent > s.win.sent || a.acked < s.win.acked {
		m.nonsense(s)
		return
	}
	s.lies = 0
	now := time.Now()
	if gained := a.acked > s.win.acked; gained && a.acked == a.sent {
		// The peer has everything. Its answer, if there is one, is on its way or here: look for it soon, for the
		// announcement may get lost.
		s.readAt = earlier(s.readAt, now.Add(answerSoon))
	}
	s.win.onAck(a.acked, s.want(), now)
	s.conn.setAcked(a.acked)
}

func (m *Modem) nonsense(s *socket) {
	s.lies++
	m.count(func(st *Stats) { st.Nonsense++ })
	if s.lies >= lie {
		m.breakSocket(CauseProtocol, errors.New("the module's counts of sent and acknowledged bytes contradict what was sent"))
		return
	}
	s.win.onAck(s.win.acked, s.want(), time.Now())
}

// read takes received data from the module. One announcement may stand for many packets, or be lost: it is over when the answer
// has no data. On the wire (G5.4):
//
//	AT+QIRD=0,1,0,1024 → +QIRD: 116.228.146.250:7070,TCP,36, 36 bytes, OK; OK alone when there is nothing, or +QIRD: 0, OK
func (m *Modem) read(s *socket) {
	if m.pushed() {
		m.readPushed(s)
		return
	}
	idle := !s.readDue
	most := min(m.owner.lacks.mostRead(), s.conn.readRoom())
	s.readDue = false // an announcement that comes from now on counts again
	r, err := m.do(at.Command{
		Line: fmt.Sprintf("AT+QIRD=0,1,0,%d", most), Accept: readReply, Counted: true, Timeout: m.cfg.CommandTimeout,
	})
	m.count(func(st *Stats) { st.Reads++ })
	if m.owner.sock != s || m.owner.fatal != nil {
		return
	}
	s.readAt = time.Now().Add(m.cfg.SafetyPoll)
	switch {
	case r.Strays > 0 && len(r.Data) == 0:
		m.breakSocket(CauseLink, errors.New("the header of received data was damaged on the serial line"))
	case err == nil:
		m.readDone(s, r, most, idle)
	case isRefusal(err):
		m.readRefused(s, most)
	default:
		// The data may have been under way: it is gone, and a stream with a hole is no stream.
		m.breakSocket(CauseLink, errors.New("received data was lost on the serial line"))
	}
}

func (m *Modem) readDone(s *socket, r at.Reply, most int, idle bool) {
	s.readErrors = 0
	n := 0
	for _, p := range r.Data {
		n += len(p)
	}
	if n > most || len(r.Data) > 1 {
		m.breakSocket(CauseProtocol, errors.New("the module gave more data than it was asked for"))
		return
	}
	if n > 0 {
		if peer, ok := parsePeer(r.Head); ok {
			s.conn.setPeer(peer)
		}
		s.conn.received(r.Data[0])
		s.readDue = true // there may be more
		m.count(func(st *Stats) { st.PayloadIn += uint64(n) })
		return
	}
	switch {
	case s.readDue: // announced while we asked
	case s.remoteClosed:
		m.remoteClosed(s)
	case idle: // while nothing else happens: CLOSED may have been lost
		m.diagnose(s)
	}
}

// readRefused: the socket is gone, the module is not ready for a moment after the connect, or it gives less at a time. What was refused
// once is asked once more; from then on half of it, so that patience reaches down to minRead.
func (m *Modem) readRefused(s *socket, most int) {
	const patience = 5
	s.readErrors++
	if s.remoteClosed {
		m.remoteClosed(s)
		return
	}
	m.diagnose(s)
	if m.owner.sock != s {
		return
	}
	if s.readErrors >= patience {
		m.breakSocket(CauseLink, errors.New("the module gives no received data"))
		return
	}
	if s.readErrors > 1 {
		m.owner.lacks.readsLess(most)
	}
	s.readDue, s.readAt = false, time.Now().Add(retrySend)
}

// remoteClosed: everything that came before CLOSED was read.
func (m *Modem) remoteClosed(s *socket) {
	m.owner.sock = nil
	s.conn.end(io.EOF, errPipe)
}

// diagnose asks for the state and draws the conclusions for the connection (G3.2).
func (m *Modem) diagnose(s *socket) {
	state, err := m.status()
	if err != nil || m.owner.sock != s {
		return
	}
	switch {
	case state == stConnected, strings.HasSuffix(state, "PROCESSING"):
	case state == stClosed, state == stStatus, state == stConnecting:
		if !s.remoteClosed {
			s.closedByPeer()
		}
	case state == stDeact:
		m.contextLost()
	case state == stInitial && m.owner.lacks.context:
		m.contextLost()
	case state == stInitial, state == stStart, state == stConfig, state == stInd, state == stActivated:
		m.rebooted(errors.New("the module has lost the connection and the context without a word: it has probably restarted"))
	}
}
