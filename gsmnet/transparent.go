package gsmnet

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// dataMode is what the owner knows of transparent mode (chapter 8). Owner goroutine only.
type dataMode struct {
	on     bool      // what goes out is sent to the peer, what comes in is from it
	away   bool      // a transparent connection stands, and the port is in command mode for a while
	left   time.Time // when data mode was left last
	asked  time.Time // when the last command ended
	wrote  time.Time // when the last byte has gone out in data mode
	asking bool      // "+++" is on its way: what comes is kept until the answer is known

	held   []byte // received, not yet known to be the peer's
	heldAt time.Time
	doubt  bool // held begins with a text that means the end if it is the module's (G8.3)
}

const (
	// online is what the module says when data mode begins (G8.1).
	online = "CONNECT"
	// comeBack is how long command mode is kept for the next command: leaving data mode again would cost two silences.
	comeBack = 20 * time.Millisecond
	// awayMost is how long somebody who waits for acknowledgement may keep the peer's data in the module.
	awayMost = 2 * time.Second
	// escapeAnswer is how long after the second silence the OK may take; the vendor's own layer allows 300 ms for an answer.
	escapeAnswer = time.Second
	// quiet is how long nothing must have come for the OK to be the last thing said: 2 bytes at 1200 baud.
	quiet = 20 * time.Millisecond
	// heldMost is how long a part of a text such as CLOSED waits for its rest, which the module sends in one go.
	heldMost = 100 * time.Millisecond
)

// escapeOK is the module's answer to "+++".
var escapeOK = []byte("\r\nOK\r\n")

// endings are what the module prints in data mode when that is over.
var endings = [][]byte{
	[]byte("\r\nCLOSED\r\n"), []byte("\r\n+PDP DEACT\r\n"), []byte("\r\n+PDP: DEACT\r\n"), []byte("\r\nNO CARRIER\r\n"),
	[]byte("\r\nRDY\r\n"), []byte("\r\nNORMAL POWER DOWN\r\n"),
}

// configureData says when the module sends (G2.13). Firmware that refuses it has its own values, which do as well. On the wire:
//
//	AT+QITCFG=3,2,512,1 → OK
func (m *Modem) configureData() error {
	const tick = 100 * time.Millisecond
	err := m.set(fmt.Sprintf("AT+QITCFG=3,%d,%d,1", max(0, m.cfg.DataWait)/tick, m.cfg.DataSize))
	if isRefusal(err) {
		return nil
	}
	return err
}

// workData does one step of a transparent connection if there is one to do.
func (m *Modem) workData(s *socket, now time.Time) bool {
	d := &m.owner.data
	switch {
	case d.doubt:
		m.answerDoubt()
	case s.remoteClosed:
		m.closedAway(s)
	case len(d.held) > 0 && !now.Before(d.heldAt.Add(heldMost)):
		m.release()
	case due(s.askDue(m.cfg.PollMax, d.wrote), now):
		m.poll(s)
		d.asked = time.Time{} // nobody else has asked: no reason to stay
	case due(s.readAt, now):
		s.readAt = now.Add(m.cfg.SafetyPoll)
		m.diagnose(s)
	case d.away && due(m.backAt(s), now):
		m.goOnline(s)
	case d.on && s.dataReady(now) > 0:
		m.sendData(s)
	default:
		return false
	}
	return true
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// nextDue is when there may be something to do for the connection without anything happening before.
func (m *Modem) nextDue(s *socket) time.Time {
	if m.cfg.Mode != Transparent {
		return s.nextDue()
	}
	d := &m.owner.data
	next := s.readAt
	earliest := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	earliest(s.askDue(m.cfg.PollMax, d.wrote))
	earliest(s.win.deadline())
	earliest(s.lingerUntil)
	if len(d.held) > 0 {
		earliest(d.heldAt.Add(heldMost))
	}
	if d.away {
		earliest(m.backAt(s))
	}
	if n, _ := s.conn.pending(); n > 0 && d.on && s.win.room() > 0 {
		earliest(s.holdUntil)
	}
	return next
}

// askDue is when to leave data mode for AT+QISACK: when somebody waits for the answer, or the window is full, as soon as there is
// probably something new; else when nothing was sent for a while (G6.4).
func (s *socket) askDue(pollMax time.Duration, wrote time.Time) time.Time {
	n, _ := s.conn.pending()
	switch {
	case s.win.outstanding() == 0:
		return time.Time{}
	case s.win.awaited > s.win.acked, s.conn.isClosed() && n == 0, n > 0 && s.win.room() == 0:
		return s.win.due
	}
	return later(s.win.due, wrote.Add(pollMax))
}

// backAt is when data mode is entered again.
func (m *Modem) backAt(s *socket) time.Time {
	d := &m.owner.data
	if n, _ := s.conn.pending(); n == 0 && s.win.outstanding() > 0 && (s.win.awaited > s.win.acked || s.conn.isClosed()) {
		return later(d.left.Add(awayMost), d.asked.Add(comeBack)) // it is asked again meanwhile
	}
	return d.asked.Add(comeBack)
}

// dataReady is how many bytes can be written now.
func (s *socket) dataReady(now time.Time) int {
	n, _ := s.conn.pending()
	if now.Before(s.holdUntil) {
		return 0
	}
	return min(n, maxSend, s.win.room())
}

// sendData writes what waits. The module cuts the packets (G2.13). There is no SEND OK and nothing that holds us back but the count
// of unacknowledged bytes, which is never more than the module's buffer.
func (m *Modem) sendData(s *socket) {
	d := &m.owner.data
	p := s.conn.peek(s.dataReady(time.Now()))
	lone := len(p) <= len("+++") && strings.Trim(string(p), "+") == ""
	if lone {
		p = p[:1] // three of them between two silences would be the escape
	}
	if err := m.d.Send(p); err != nil {
		m.after(err)
		return
	}
	d.wrote = later(d.wrote, time.Now()).Add(m.onWire(len(p)))
	if lone {
		s.holdUntil = d.wrote.Add(m.cfg.EscapeGuard)
	}
	m.taken(s, len(p))
}

// onWire is how long n bytes take on the serial line: the system's buffer takes them in no time, and only when the last one has gone
// the silence begins.
func (m *Modem) onWire(n int) time.Duration {
	baud := m.cfg.Baud
	if baud == 0 {
		baud = 115200 // G2.1
	}
	return time.Duration(n) * 10 * time.Second / time.Duration(baud) // ten bits a byte
}

// rawIn takes received bytes in data mode. It runs inside the dialogue and only notes.
func (m *Modem) rawIn(p []byte) {
	d := &m.owner.data
	if !d.on { // the module has left data mode between this and the last
		m.d.Rescan(p)
		return
	}
	d.held, d.heldAt = append(d.held, p...), time.Now()
	if d.asking || d.doubt {
		return
	}
	first := -1
	for _, e := range endings {
		if i := bytes.Index(d.held, e); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	keep := first
	if first >= 0 {
		d.doubt = true
	} else {
		keep = len(d.held) - unfinished(d.held)
	}
	m.pass(keep)
}

// unfinished is how many bytes at the end of p may be the beginning of an ending.
func unfinished(p []byte) int {
	longest := 0
	for _, e := range endings {
		for n := min(len(p), len(e)-1); n > longest; n-- {
			if bytes.HasSuffix(p, e[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}

// pass hands the first n of the held bytes to the connection: they are the peer's.
func (m *Modem) pass(n int) {
	d := &m.owner.data
	p := d.held[:n]
	d.held = bytes.Clone(d.held[n:])
	if s := m.owner.sock; s != nil {
		m.deliver(s, p)
	}
}

// release hands everything held to the connection.
func (m *Modem) release() {
	m.owner.data.doubt = false
	m.pass(len(m.owner.data.held))
}

// answerDoubt finds out whether CLOSED or the like was said by the module or the peer (G8.3). If the peer can't say it, no question
// is needed (G8.5).
func (m *Modem) answerDoubt() {
	if m.cfg.TrustClosed {
		m.dataOver()
		return
	}
	m.leaveData()
}

// leaveData goes to command mode; outside data mode it does nothing. On the wire (G8.2):
//
//	silence, +++, silence → OK
//
// Without the OK data mode was over before (G8.4).
func (m *Modem) leaveData() {
	d := &m.owner.data
	if !d.on {
		return
	}
	d.asking = true
	tries := 1
	if !d.doubt {
		tries = 2 // nothing speaks for a loss: a plus sign may have been lost on the serial line
	}
	for try := range tries {
		escaped, ok := m.escape()
		switch {
		case !ok:
			return // the port has ended
		case escaped:
			d.on, d.asking, d.away, d.left, d.asked = false, false, true, time.Now(), time.Now()
			m.d.LeaveRaw()
			m.release()
			if try > 0 {
				m.breakSocket(CauseLink, errors.New("plus signs meant for the module went to the peer"))
			}
			return
		}
	}
	m.dataOver()
}

// escape does one "+++". It reports whether the OK came, and whether the port still lives.
func (m *Modem) escape() (escaped, alive bool) {
	d := &m.owner.data
	if !m.wait(time.Until(d.wrote.Add(m.cfg.EscapeGuard))) {
		return false, false
	}
	if err := m.d.Send([]byte("+++")); err != nil {
		m.after(err)
		return false, false
	}
	d.wrote = time.Now()
	limit := d.wrote.Add(m.cfg.EscapeGuard + escapeAnswer)
	if !m.wait(m.cfg.EscapeGuard) {
		return false, false
	}
	for time.Now().Before(limit) {
		// Data that ends in the same text may come while the module counts the silence; behind the module's own OK nothing comes.
		n := len(d.held)
		if !m.wait(min(quiet, m.cfg.EscapeGuard)) {
			return false, false
		}
		if len(d.held) == n && bytes.HasSuffix(d.held, escapeOK) {
			d.held = d.held[:n-len(escapeOK)]
			return true, true
		}
	}
	return false, true
}

// wait lets time pass; what comes is taken note of.
func (m *Modem) wait(t time.Duration) bool {
	if !m.d.Pause(t, nil) {
		m.lost(m.d.Err())
		return false
	}
	return true
}

// dataOver draws the conclusions when the module has left data mode by itself (G8.4): what is held is its own words, and the context
// is dropped before anything else.
func (m *Modem) dataOver() {
	d := &m.owner.data
	said := d.held
	inDoubt := d.doubt
	m.owner.data = dataMode{}
	m.d.LeaveRaw()
	m.d.Distrust() // plus signs stand in its command line
	boots := m.owner.boots
	if inDoubt {
		m.d.Rescan(said)
	}
	if s := m.owner.sock; s != nil {
		if s.remoteClosed {
			m.remoteClosed(s)
		} else {
			m.breakSocket(CauseContext, errors.New("the module has left data mode: the connection is lost (G8.4)"))
		}
	}
	if boots == m.owner.boots {
		m.dropContext()
	}
}

// goOnline enters data mode again. On the wire:
//
//	ATO → CONNECT; NO CARRIER when the connection is gone
func (m *Modem) goOnline(s *socket) {
	d := &m.owner.data
	d.away = false
	m.d.RawAfter(online)
	_, err := m.d.Do(at.Command{Line: "ATO", Accept: onlineReply, Timeout: m.cfg.CommandTimeout})
	if err == nil {
		*d = dataMode{on: true, wrote: time.Now(), left: d.left}
		return
	}
	m.d.LeaveRaw()
	m.after(err)
	switch {
	case m.owner.sock != s:
	case s.remoteClosed:
		m.closedAway(s)
	default:
		m.diagnose(s)
		if m.owner.sock == s && !s.remoteClosed {
			m.breakSocket(CauseLink, errors.New("the module doesn't go back to data mode"))
		}
	}
}

func onlineReply(line string) at.Verdict {
	switch line {
	case online:
		return at.Done
	case "NO CARRIER":
		return at.Failed
	}
	return at.Final(line)
}

// closedAway: the peer has closed while the port was in command mode. What it sent since then has stayed in the module and is gone, so
// this must not look like an end after which everything was read.
func (m *Modem) closedAway(s *socket) {
	m.breakSocket(CauseClosed, errors.New("the peer closed while the module was out of data mode; what it sent meanwhile is lost"))
}
