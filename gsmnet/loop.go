package gsmnet

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// own is the goroutine that owns command, connection, window and timers.
func (m *Modem) own() {
	defer close(m.done)
	idle := time.NewTimer(0)
	defer idle.Stop()
	for m.owner.fatal == nil {
		if !m.d.Drain() {
			m.lost(m.d.Err())
			break
		}
		m.copyStats()
		if m.closeAsked() {
			m.finish()
			break
		}
		// One request, then one exchange of the connection: neither can hold the other up.
		busy := m.request()
		if s := m.owner.sock; s != nil && m.work(s) || m.tidy() {
			busy = true
		}
		if !busy {
			m.idle(idle)
		}
	}
	m.end()
}

func (m *Modem) closeAsked() bool {
	select {
	case <-m.quit:
		return true
	default:
		return false
	}
}

// request serves one request if one waits.
func (m *Modem) request() bool {
	select {
	case o := <-m.ops:
		m.serveOp(o)
	case o := <-m.cmds:
		m.serve(o)
	default:
		return false
	}
	return true
}

// serveOp serves a bring-up or a dial. What a caller that has gone away would have got is closed.
func (m *Modem) serveOp(o *op) {
	r, taken := m.serve(o)
	if c, ok := r.value.(*Conn); ok && r.err == nil && !taken {
		c.Close()
	}
}

// tidy closes in the module what was given up without closing it (G4.9).
func (m *Modem) tidy() bool {
	if !m.owner.leftOpen {
		return false
	}
	m.owner.leftOpen = false
	m.qiclose()
	return true
}

// idle waits for whatever comes next.
func (m *Modem) idle(t *time.Timer) {
	wait := time.Hour
	if s := m.owner.sock; s != nil {
		wait = max(0, time.Until(m.nextDue(s)))
	}
	t.Reset(wait)
	select {
	case <-m.d.Ready(): // own drains
	case o := <-m.ops:
		m.serveOp(o)
	case o := <-m.cmds:
		m.serve(o)
	case <-m.wake:
	case <-t.C:
	case <-m.quit:
	}
}

// finish closes the connection cleanly when the Modem is closed.
func (m *Modem) finish() {
	if s := m.owner.sock; s != nil {
		s.conn.Close()
		m.closeSocket()
	}
}

// end releases everybody and closes the port.
func (m *Modem) end() {
	err := m.owner.fatal
	if err == nil {
		err = net.ErrClosed
	}
	if s := m.owner.sock; s != nil {
		m.owner.sock = nil
		s.conn.end(err, err)
	}
	m.d.Stop()
	closed := make(chan struct{})
	go func() { // ends when the port lets go; a stuck one is left behind after closeLimit
		m.port.Close()
		m.d.Wait()
		close(closed)
	}()
	limit := time.NewTimer(closeLimit / 2)
	defer limit.Stop()
	select {
	case <-closed:
	case <-limit.C:
	}
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
	if m.owner.fatal != nil {
		m.setState(StepPort, "the serial port is gone", m.owner.fatal)
	} else {
		m.setState(StepPort, "closed", nil)
	}
}

// lost notes that the port has ended.
func (m *Modem) lost(err error) {
	if m.owner.fatal != nil || err == nil || errors.Is(err, at.ErrClosed) { // no error: Stop was called
		return
	}
	// The text alone: what the port says, io.EOF for example, must not be taken for what the peer said.
	m.owner.fatal = &Error{CausePort, "talk to the module", errors.New(err.Error())}
}

// do runs one command on the owner. It sees to what every command may end in: a timeout is followed by a resynchronisation, a
// dead port ends the Modem. In data mode it leaves that first. The error is the command's own.
func (m *Modem) do(c at.Command) (at.Reply, error) {
	m.leaveData()
	if m.d.Dirty() && !c.Blind {
		if err := m.resync(); err != nil {
			return at.Reply{}, err
		}
	}
	r, err := m.d.Do(c)
	m.after(err)
	m.checkEcho()
	m.owner.data.asked = time.Now()
	return r, err
}

// doLong runs a command that has a time limit of its own, past which the module has to be restarted (G7.3, G9.3): no question comes in
// between, for the restart ends whatever the module is at.
func (m *Modem) doLong(c at.Command) (at.Reply, error) {
	m.leaveData()
	if m.d.Dirty() {
		if err := m.resync(); err != nil {
			return at.Reply{}, err
		}
	}
	r, err := m.d.Do(c)
	m.owner.data.asked = time.Now()
	if errors.Is(err, at.ErrTimeout) {
		m.owner.unended = true
		m.wantRestart(fmt.Sprintf("it did not end %s within %v (G9.3)", c.Line, c.Timeout))
		return r, &Error{CausePower, "wait for the module", fmt.Errorf("it did not end %s within %v, and has to be restarted (G9.3)",
			c.Line, c.Timeout)}
	}
	m.after(err)
	m.checkEcho()
	return r, err
}

// checkEcho: echo was switched off, and only a restart switches it on again. A module that finds its speed by itself says no RDY. One
// that goes on echoing while it is set up does not switch it off.
func (m *Modem) checkEcho() {
	if !m.d.EchoSeen() || m.owner.lacks.echo {
		return
	}
	m.owner.lacks.echo = !m.owner.configured
	if m.owner.configured {
		m.restartedItself(errors.New("the module restarted without a word: check that its supply holds 2 A bursts"))
	}
}

// after looks at how an exchange ended. After a restart nothing is asked here: the module boots, and is synchronised anew.
func (m *Modem) after(err error) {
	switch {
	case err == nil:
	case errors.Is(err, at.ErrTimeout), errors.Is(err, at.ErrDamaged):
		m.resync()
	default:
		m.notePort(err)
	}
}

// resync waits until every older answer is over.
func (m *Modem) resync() error {
	polluted, err := m.d.Resync()
	if err == nil {
		m.owner.unended = false // it listens again
	}
	m.checkEcho()
	if polluted {
		m.breakSocket(CauseLink, errors.New("a send was cut on the serial line, and its rest had to be made up"))
	}
	m.notePort(err)
	return err
}

func (m *Modem) notePort(err error) {
	var port *at.PortError
	switch {
	case errors.As(err, &port):
		m.lost(err)
	case errors.Is(err, at.ErrHung):
		m.hung()
	}
}

// hung: the module has not answered for the 60 s of G9.2. Everything has to be found out anew.
func (m *Modem) hung() {
	o := &m.owner
	o.synced, o.configured, o.prepared, o.contextUp, o.names = false, false, false, false, -1
	m.wantRestart("it has stopped answering (G9.2)")
	err := &Error{CausePower, "talk to the module", errHung}
	m.breakSocket(CausePower, errHung)
	m.setState(StepPower, "the module has stopped answering", err)
}

var errHung = errors.New("no answer for a minute: the module is off, hangs, or has another baud rate; check its supply, or restart it")

// pause lets time pass inside a bring-up: URCs are handled and short commands served. It ends early with an error when the
// caller has gone, the Modem is closed or the port has ended.
func (m *Modem) pause(wait time.Duration, gone <-chan struct{}) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	boots := m.owner.boots
	for {
		if !m.d.Drain() {
			m.lost(m.d.Err())
		}
		if m.owner.fatal != nil {
			return m.owner.fatal
		}
		if boots != m.owner.boots {
			return errRebooted
		}
		select {
		case <-m.d.Ready():
		case o := <-m.cmds:
			m.serve(o)
		case <-t.C:
			return nil
		case <-gone:
			return errGone
		case <-m.quit:
			return net.ErrClosed
		}
	}
}

var (
	errGone     = errors.New("given up by the caller")
	errRebooted = errors.New("the module restarted")
)

func (m *Modem) copyStats() {
	d := m.d.Stats()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.stats
	s.BytesOut, s.BytesIn, s.Commands = d.BytesOut, d.BytesIn, d.Commands
	s.Timeouts, s.Resyncs, s.Strays, s.Overlong, s.Damaged = d.Timeouts, d.Resyncs, d.Strays, d.Overlong, d.Damaged
}

// count changes the statistics.
func (m *Modem) count(f func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.stats)
}

// fail makes the *Error of a step.
func fail(c Cause, op, format string, args ...any) error {
	return &Error{c, op, fmt.Errorf(format, args...)}
}
