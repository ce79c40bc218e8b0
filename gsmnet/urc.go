package gsmnet

import (
	"errors"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// onURC takes what the module says on its own. It runs on the owner, in the order of the wire, and only notes: what has to be
// asked or sent is done by the loop.
func (m *Modem) onURC(t at.Token) {
	s := m.owner.sock
	if t.Kind == at.Raw {
		m.rawIn(t.Data)
		return
	}
	if s != nil && m.pushedURC(s, t) {
		return
	}
	switch t.Kind {
	case at.Data, at.Damage:
		// Counted data that no AT+QIRD has asked for: an answer was lost or taken for another one's, and with it data.
		m.breakSocket(CauseLink, errors.New("received data was lost on the serial line"))
		return
	case at.Line:
	default:
		return
	}
	switch line := t.Text; {
	case line == "RDY": // G2.1: at a fixed rate the module says so when it starts
		m.restartedItself(errors.New("the module restarted by itself: check that its supply holds 2 A bursts"))
	case line == "NORMAL POWER DOWN":
		m.rebooted(errors.New("the module was switched off"))
	case strings.HasPrefix(line, "UNDER_VOLTAGE POWER DOWN"), strings.HasPrefix(line, "OVER_VOLTAGE POWER DOWN"):
		m.restartedItself(errors.New("the module switched itself off because of its supply voltage: " + line))
	case strings.HasPrefix(line, "+QIRDI:"): // G5.4
		if s != nil {
			s.readDue = true
		}
	case line == "CLOSED":
		if s != nil {
			s.closedByPeer()
		}
	case strings.HasPrefix(line, "+PDP DEACT"), strings.HasPrefix(line, "+PDP: DEACT"):
		m.contextLost()
	case strings.HasPrefix(line, "+CREG:"): // G2.3
		if stat, ok := registrationURC(line, "+CREG:"); ok {
			m.registrationChanged(stat)
		}
	case strings.HasPrefix(line, "+QNITZ:"):
		m.owner.clock.note(line, time.Now())
	case line == "+CPIN: NOT READY" && m.owner.radio.off:
	case line == "+CPIN: NOT READY", line == "+CPIN: NOT INSERTED":
		m.owner.contextUp = false
		m.breakSocket(CauseSIM, errors.New("the SIM was removed"))
		m.setState(StepSIM, "the SIM was removed", fail(CauseSIM, "watch the SIM", "the module says %q", line))
	}
}

// restartedItself is rebooted for a restart that nobody has asked for.
func (m *Modem) restartedItself(why error) {
	if t := m.owner.restarted; t.IsZero() || time.Since(t) > bootWithin {
		m.selfRestart()
	}
	m.rebooted(why)
}

// rebooted: every setting, the context and the connection are gone (G9.1 comes next).
func (m *Modem) rebooted(why error) {
	o := &m.owner
	o.boots++
	wasUp := o.synced
	o.synced, o.configured, o.prepared, o.contextUp, o.deactFirst = false, false, false, false, false
	o.names, o.mayEcho, o.regApp = -1, true, time.Time{}
	o.data, o.lacks, o.refused, o.noSIM = dataMode{}, lacks{}, nil, false
	m.count(func(s *Stats) { s.Restarts++ })
	m.breakSocket(CausePower, why)
	if wasUp {
		m.setState(StepPower, why.Error(), &Error{CausePower, "watch the module", why})
	}
}

func (m *Modem) contextLost() {
	o := &m.owner
	o.contextUp, o.deactFirst = false, true
	why := errors.New("the network dropped the GPRS context")
	m.breakSocket(CauseContext, why)
	m.setState(StepContext, why.Error(), &Error{CauseContext, "watch the context", why})
}

// noNetwork is said while a context stands and the network is gone.
const noNetwork = "no network"

// registrationChanged shows that the network has gone or is back while a context stands. That alone ends neither the context nor a
// connection: TCP bridges the gap, or the counts of acknowledged bytes show that it didn't (G4.9).
func (m *Modem) registrationChanged(stat int) {
	m.owner.stat = stat
	if !m.owner.contextUp {
		return // the bring-up is at it
	}
	registered := m.owner.registered() // G2.3
	switch step := m.State().Step; {
	case !registered && step == StepReady:
		m.setState(StepRegistration, noNetwork, nil)
	case registered && step == StepRegistration:
		m.setState(StepReady, m.owner.where(), nil)
	}
}
