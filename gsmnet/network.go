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
		attached, _, err := m.attached()
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
//
// Where a module doesn't tell that the registration for GPRS does as well, AT+CGREG? (G2.4).
func (m *Modem) askRegistration() (int, error) {
	for _, name := range []string{"+CREG", "+CGREG"} {
		m.owner.stat = -1
		r, err := m.do(at.Command{Line: "AT" + name + "?", Accept: registrationReply(name + ":"), Timeout: m.cfg.CommandTimeout})
		if err != nil && !isRefusal(err) {
			return -1, err
		}
		if len(r.Lines) > 0 {
			m.owner.stat, _ = registration(r.Lines[len(r.Lines)-1], name+":")
		}
		if m.owner.stat >= 0 { // also by an answer that reads like a report: "+CREG: 1"
			break
		}
	}
	return m.owner.stat, nil
}

// attached asks whether GPRS is there, and whether that is known. On the wire (G2.4):
//
//	AT+CGATT? → +CGATT: 1, OK
func (m *Modem) attached() (yes, known bool, err error) {
	r, err := m.do(at.Command{Line: "AT+CGATT?", Accept: at.Prefixed("+CGATT:"), Timeout: m.cfg.CommandTimeout})
	if err != nil && !isRefusal(err) {
		return false, false, err
	}
	if len(r.Lines) == 0 {
		return false, false, nil
	}
	v, ok := number(r.Lines[len(r.Lines)-1], "+CGATT:", 0)
	return ok && v == 1, ok, nil
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
