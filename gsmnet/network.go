package gsmnet

import (
	"context"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// netFresh is for how long the network counts as there without asking once more.
const netFresh = 10 * time.Second

// onNetwork sees to it that there is a network under a context that stands, before a connection is opened in it: without one
// AT+QIOPEN ends in a CONNECT FAIL that looks like a dead server. It waits as the bring-up does (G2.3, G2.4).
func (m *Modem) onNetwork(ctx context.Context) error {
	o := &m.owner
	if o.registered() && time.Since(o.netAt) < netFresh {
		return nil
	}
	if stat, err := m.askRegistration(); err != nil {
		return m.as(CausePower, "register", err)
	} else if stat == 1 || stat == 5 && !m.cfg.HomeOnly {
		attached, err := m.attached()
		if err != nil {
			return m.as(CausePower, "attach to GPRS", err)
		}
		if attached {
			m.netThere()
			return nil
		}
	}
	if err := m.register(ctx); err != nil {
		return err
	}
	return m.attach(ctx)
}

// netThere notes that the network was seen a moment ago.
func (m *Modem) netThere() { m.owner.netAt = time.Now() }

// registered reports whether a network has taken the SIM, as far as is known (G2.3).
func (o *owner) registered() bool { return o.stat == 1 || o.stat == 5 }

// askRegistration asks where the registration stands, -1 when that isn't told. On the wire (G2.3):
//
//	AT+CREG? → +CREG: 1,1, OK
func (m *Modem) askRegistration() (int, error) {
	r, err := m.do(at.Command{Line: "AT+CREG?", Accept: registrationReply("+CREG:"), Timeout: m.cfg.CommandTimeout})
	if err != nil && !isRefusal(err) {
		return -1, err
	}
	stat := -1
	if len(r.Lines) > 0 {
		stat, _ = registration(r.Lines[len(r.Lines)-1], "+CREG:")
	}
	m.owner.stat = stat
	return stat, nil
}

// attached asks whether GPRS is there. On the wire (G2.4):
//
//	AT+CGATT? → +CGATT: 1, OK
func (m *Modem) attached() (bool, error) {
	r, err := m.do(at.Command{Line: "AT+CGATT?", Accept: at.Prefixed("+CGATT:"), Timeout: m.cfg.CommandTimeout})
	if err != nil && !isRefusal(err) {
		return false, err
	}
	if len(r.Lines) == 0 {
		return false, nil
	}
	v, ok := number(r.Lines[len(r.Lines)-1], "+CGATT:", 0)
	return ok && v == 1, nil
}

// noNetwork tells whether the network is what is missing when a connection could not be opened: the error is nil when it is there.
func (m *Modem) noNetwork() error {
	const op = "open the connection"
	if m.owner.registered() && time.Since(m.owner.netAt) < netFresh {
		return nil
	}
	stat, err := m.askRegistration()
	switch {
	case err != nil:
		return m.as(CausePower, op, err)
	case stat == 3:
		return fail(CauseDenied, op, "the network refuses this SIM now: is it active, and is its plan for this network?")
	case stat >= 0 && !m.owner.registered():
		m.setState(StepRegistration, noNetwork, nil)
		return fail(CauseSearching, op, "there is no network at the moment: the module goes on searching")
	}
	return nil
}
