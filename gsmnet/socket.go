package gsmnet

import (
	"errors"
	"io"
	"time"
)

const (
	// maxSend is the most of one AT+QISEND (G4.1).
	maxSend = 1460
	// maxRead is the most of one AT+QIRD: the guide's 1024, which every firmware takes (G5.4).
	maxRead = 1024
	// gather is how long a small write may wait for more while the link is busy anyway.
	gather = 200 * time.Millisecond
	// lie is how many impossible answers to AT+QISACK in a row end a connection.
	lie = 3
)

// socket is the owner's side of a connection.
type socket struct {
	conn *Conn
	win  *window

	readDue      bool      // the module has announced data, or has not yet said that there is none
	readAt       time.Time // when to look without an announcement
	safety       time.Duration
	remoteClosed bool      // CLOSED was seen; what was received before is still being read
	holdUntil    time.Time // the module refused a send: don't try again before
	fails        int       // refused sends in a row
	readErrors   int       // refused reads in a row
	lies         int
	lingerUntil  time.Time // when to give up sending after Close; zero: not closed
	turn         job       // what was done last

	block   []byte    // a pushed block, until what follows it shows that it is whole
	blockAt time.Time // when it came
}

func newSocket(c *Conn, cfg Config, now time.Time) *socket {
	return &socket{conn: c, win: newWindow(cfg), safety: cfg.SafetyPoll, readAt: now.Add(cfg.SafetyPoll)}
}

// job is one kind of exchange. They take turns, so that none keeps another from its own: acknowledgements of the broker are
// fetched in the middle of an upload, and data is sent in the middle of a download.
type job uint8

const (
	jobRead job = iota
	jobSend
	jobPoll
	jobs
)

// work does one exchange if there is one to do.
func (m *Modem) work(s *socket) bool {
	now := time.Now()
	if m.closing(s, now) {
		return true
	}
	s.win.await(s.conn.awaited())
	if d := s.win.deadline(); !s.remoteClosed && !d.IsZero() && !now.Before(d) {
		m.count(func(st *Stats) { st.Broken++ })
		m.breakSocket(CauseLink, errStalled)
		return true
	}
	if m.cfg.Mode == Transparent {
		return m.workData(s, now)
	}
	if s.block != nil && !now.Before(s.blockAt.Add(wholeAfter)) {
		m.acceptBlock(s)
		return true
	}
	for i := range jobs {
		j := (s.turn + 1 + i) % jobs
		if !m.ready(s, j, now) {
			continue
		}
		s.turn = j
		switch j {
		case jobRead:
			m.read(s)
		case jobSend:
			m.send(s)
		case jobPoll:
			m.poll(s)
		}
		return true
	}
	return false
}

var errStalled = errors.New("the peer has acknowledged nothing for too long (G4.9, G6.4): no coverage, or the operator dropped " +
	"the connection")

func (m *Modem) ready(s *socket, j job, now time.Time) bool {
	switch j {
	case jobRead:
		return (s.readDue || !now.Before(s.readAt)) && (s.conn.readRoom() > 0 || m.pushed())
	case jobSend:
		return !s.remoteClosed && s.sendable(now) > 0
	default:
		return !s.remoteClosed && !s.win.due.IsZero() && !now.Before(s.win.due)
	}
}

// sendable is how many bytes the next AT+QISEND takes, 0 if it has to wait.
func (s *socket) sendable(now time.Time) int {
	n, oldest := s.conn.pending()
	if n == 0 || now.Before(s.holdUntil) {
		return 0
	}
	if s.conn.datagrams() {
		return n
	}
	n = min(n, maxSend)
	if s.win.room() < s.least(n) {
		return 0
	}
	// While the module has at least two segments to send, the radio has work, and waiting costs nothing: gather.
	if n < maxSend && s.win.outstanding() >= 2*maxSend && now.Before(oldest.Add(gather)) && !s.conn.isClosed() {
		return 0
	}
	return s.conn.whole(min(n, s.win.room()))
}

// least is how much room a send of n bytes waits for: small pieces of a large backlog would only cost serial time.
func (s *socket) least(n int) int { return min(n, maxSend*2/3) }

// want is how much room the next send would like, 0 if nothing waits.
func (s *socket) want() int {
	n, _ := s.conn.pending()
	return s.conn.whole(min(n, maxSend))
}

// nextDue is when there may be something to do without anything happening before.
func (s *socket) nextDue() time.Time {
	due := s.readAt
	if s.block != nil {
		return s.blockAt.Add(wholeAfter)
	}
	if s.conn.readRoom() == 0 {
		due = time.Now().Add(s.safety)
	}
	earliest := func(t time.Time) {
		if !t.IsZero() && t.Before(due) {
			due = t
		}
	}
	if !s.remoteClosed {
		earliest(s.win.due)
		earliest(s.win.deadline())
	}
	earliest(s.lingerUntil)
	if n, oldest := s.conn.pending(); n > 0 && !s.remoteClosed && s.win.room() >= s.least(min(n, maxSend)) &&
		s.conn.whole(min(n, maxSend, s.win.room())) > 0 {
		earliest(later(oldest.Add(gather), s.holdUntil))
	}
	return due
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// closing sees a connection that its user has closed to its end. It reports whether it has done something.
func (m *Modem) closing(s *socket, now time.Time) bool {
	if !s.conn.isClosed() {
		return false
	}
	if s.lingerUntil.IsZero() {
		s.lingerUntil = now.Add(m.cfg.Linger)
		s.win.hurry(now)
	}
	if by := m.lingerBy.Load(); by != nil && by.Before(s.lingerUntil) {
		s.lingerUntil = *by
	}
	n, _ := s.conn.pending()
	if now.Before(s.lingerUntil) && !s.remoteClosed && (n > 0 || s.win.outstanding() > 0) {
		return false
	}
	m.dropSocket(s)
	return true
}

// closeSocket brings a connection that was closed to its end, for whoever needs the module next.
func (m *Modem) closeSocket() {
	for m.owner.fatal == nil {
		if !m.d.Drain() {
			m.lost(m.d.Err())
			return
		}
		s := m.owner.sock
		if s == nil {
			return
		}
		if m.work(s) {
			continue
		}
		wait := max(0, time.Until(m.nextDue(s)))
		if !m.d.Pause(wait, m.wake) {
			m.lost(m.d.Err())
			return
		}
	}
}

// dropSocket closes the module's socket (G7.1) and forgets the connection.
func (m *Modem) dropSocket(s *socket) {
	m.owner.sock = nil
	m.owner.data.away = false
	if !s.remoteClosed { // a socket that the peer has closed is closed: IP CLOSE
		m.qiclose()
	}
	s.conn.end(io.EOF, errPipe)
}

// closedByPeer notes that the peer has closed: nothing can be sent any more, what was received is still read.
func (s *socket) closedByPeer() {
	s.remoteClosed, s.readDue = true, true
	s.conn.endWrites(errPipe)
}

// breakSocket gives a connection up because of something that the module or the link did. The module's socket, if it may still be
// open, is closed before the next one is opened.
func (m *Modem) breakSocket(c Cause, why error) {
	s := m.owner.sock
	if s == nil {
		return
	}
	m.owner.sock = nil
	m.owner.data.away = false
	m.owner.leftOpen = c == CauseLink || c == CauseProtocol
	err := &Error{c, "keep the connection", why}
	s.conn.end(err, err)
}
