package gsmnet

import (
	"errors"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

const (
	// wholeAfter is how long a pushed block waits for what follows it: what shows a lost byte comes right behind, a byte each
	// millisecond at 9600 baud.
	wholeAfter = 10 * time.Millisecond
	// unreadMax is what may be received and not read when nothing can hold the peer back.
	unreadMax = 1 << 20
)

// pushed reports whether received data comes by itself.
func (m *Modem) pushed() bool { return m.cfg.Receive == Pushed || m.owner.lacks.buffer }

// pushedURC takes received data that the module pushes, also between a command and its reply (G5.3). On the wire (G5.2):
//
//	RECV FROM: 116.226.39.202:7007
//	IPD36TCP: and 36 bytes
//
// Nothing closes a block. It counts as whole when something that may follow it has come, or nothing for a while.
func (m *Modem) pushedURC(s *socket, t at.Token) bool {
	if !m.pushed() || m.cfg.Mode != Command {
		return false
	}
	switch {
	case t.Kind == at.Data && strings.HasPrefix(t.Text, "IPD"):
		m.acceptBlock(s)
		if m.owner.sock == s {
			s.block, s.blockAt = t.Data, time.Now()
		}
		return true
	case t.Kind == at.Line:
		m.acceptBlock(s)
	}
	return false
}

// acceptBlock hands a whole block to the connection.
func (m *Modem) acceptBlock(s *socket) {
	p := s.block
	if s.block = nil; p != nil {
		m.deliver(s, p)
	}
}

// deliver gives the connection what nobody has asked for, as long as it is read.
func (m *Modem) deliver(s *socket, p []byte) {
	if len(p) == 0 {
		return
	}
	if s.conn.waiting()+len(p) > unreadMax {
		m.breakSocket(CauseUsage, errors.New("1 MiB of received data was not read, and the module can't be told to wait"))
		return
	}
	s.conn.received(p)
	m.count(func(st *Stats) { st.PayloadIn += uint64(len(p)) })
}

// readPushed is the read of a connection whose data comes by itself: all of it is here when the module says CLOSED, and else the
// state is asked, since CLOSED may have been lost.
func (m *Modem) readPushed(s *socket) {
	s.readDue, s.readAt = false, time.Now().Add(m.cfg.SafetyPoll)
	if s.remoteClosed {
		m.remoteClosed(s)
		return
	}
	m.diagnose(s)
}
