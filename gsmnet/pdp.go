package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// The states that AT+QISTAT tells (G3.2).
const (
	stInitial    = "IP INITIAL"
	stStart      = "IP START"
	stConfig     = "IP CONFIG"
	stInd        = "IP IND"
	stActivated  = "IP GPRSACT"
	stStatus     = "IP STATUS"
	stConnecting = "TCP CONNECTING"
	stUDP        = "UDP CONNECTING"
	stClosed     = "IP CLOSE"
	stConnected  = "CONNECT OK"
	stDeact      = "PDP DEACT"
)

const (
	// After AT+QIREGAPP's OK the state is not IP START yet: the vendor's own layer waits 100 ms, one board needed 2 s.
	settleContext = 200 * time.Millisecond
	settleLimit   = 5 * time.Second
	// After a deactivation the network needs a while before it takes an activation; 2 to 10 s are used in the field.
	afterDeact = 2 * time.Second
	// activationTries is after how many refusals in a row the context is dropped before the next one.
	activationTries = 3
	// mostDrops bounds how often one bring-up drops the context: for each try, and for what stood in the way before.
	mostDrops = activationTries + 3
	// startTries is how often AT+QIREGAPP may lead nowhere until AT+QIOPEN is left to bring the context up by itself, from IP INITIAL, as
	// the guide's text has it (G3.2).
	startTries = 2
	// othersActivation is how long an activation that is none of ours may go on: most end within seconds.
	othersActivation = 30 * time.Second
)

// status asks for the TCP/IP state, "" when it isn't told. On the wire:
//
//	AT+QISTAT → OK, STATE: IP INITIAL
func (m *Modem) status() (string, error) {
	r, err := m.do(at.Command{Line: "AT+QISTAT", Accept: stateReply, Timeout: m.cfg.CommandTimeout, Trailing: []string{"OK"}})
	if err != nil && !isRefusal(err) {
		return "", err
	}
	if state, ok := parseState(r.Final); ok {
		return state, nil
	}
	return "", nil
}

// activate brings the context up explicitly, from whatever state the module's stack is in: what it says decides the next step
// (G3.2, G3.3).
func (m *Modem) activate(ctx context.Context) error {
	const op = "activate the context"
	if m.owner.contextUp {
		return nil
	}
	m.setState(StepContext, "bringing up the GPRS context", nil)
	deadline := time.Now().Add(min(othersActivation, m.cfg.ActivateTimeout))
	drops, closes, activated := 0, 0, false
	var why error = errNeedsDeact
	for !m.owner.contextUp {
		if m.owner.deactFirst {
			if drops++; drops > mostDrops {
				return fail(CauseContext, op, "it was dropped %d times, and still %w", mostDrops, why)
			}
			if err := m.deactivate(ctx); err != nil {
				return err
			}
			activated = false
		}
		state, err := m.status()
		if err != nil {
			return m.as(CauseContext, op, err)
		}
		if state == "" {
			state = m.supposed(drops > 0, activated)
		}
		switch state {
		case stInitial:
			err = m.fromInitial(ctx)
		case stStart:
			m.owner.regApp, m.owner.lacks.starts, m.owner.lacks.context = time.Time{}, 0, false
			err = m.qiact()
			activated = err == nil && !m.owner.deactFirst
		case stConfig: // an activation that somebody else has begun may still end
			if m.owner.deactFirst = time.Now().After(deadline); !m.owner.deactFirst {
				err = m.pause(time.Second, ctx.Done())
			}
		case stActivated, stStatus, stClosed: // an earlier run's serves as it is if the settings can be made to fit
			if err = m.prepare(false); err == nil {
				err = m.localAddress()
			}
			m.owner.contextUp = err == nil
		case stConnecting, stUDP, stConnected: // left over (G3.3, G3.4)
			if closes++; closes > 1 {
				m.owner.deactFirst = true
			} else {
				err = m.qiclose()
			}
		default: // PDP DEACT, IP IND that an earlier program has left, and whatever else there may be (G3.3)
			m.owner.deactFirst = true
		}
		if errors.Is(err, errNeedsDeact) {
			m.owner.deactFirst, why, err = true, err, nil
		}
		if err != nil {
			return m.as(CauseContext, op, err)
		}
		if ctx.Err() != nil {
			return m.as(CauseContext, op, errGone)
		}
	}
	return nil
}

// errNeedsDeact: the context stands in the way and has to be dropped first.
var errNeedsDeact = errors.New("the context has to be dropped first")

// fromInitial makes the settings and starts the context; the state IP START follows some time after the OK. On the wire (chapter
// 9's chart):
//
//	AT+QIREGAPP → OK, later AT+QIACT → OK
func (m *Modem) fromInitial(ctx context.Context) error {
	o := &m.owner
	if t := o.regApp; !t.IsZero() && time.Since(t) < settleLimit {
		return m.pause(settleContext, ctx.Done())
	}
	o.prepared = false
	if err := m.prepare(true); err != nil {
		return err
	}
	if o.lacks.context {
		return m.leaveToOpen()
	}
	err := m.set("AT+QIREGAPP")
	if err != nil && !isRefusal(err) {
		return err
	}
	o.lacks.starts++
	o.lacks.context = o.lacks.starts >= startTries
	switch {
	case err == nil:
		o.regApp = time.Now()
		return m.pause(settleContext, ctx.Done())
	case o.lacks.context:
		return m.leaveToOpen()
	}
	return fmt.Errorf("%w: AT+QIREGAPP was refused", errNeedsDeact)
}

// leaveToOpen makes do without a context of our own: AT+QIOPEN brings it up.
func (m *Modem) leaveToOpen() error {
	m.owner.contextUp, m.owner.address = true, ""
	return nil
}

// qiact activates. It blocks the module for up to 180 s (G9.3).
func (m *Modem) qiact() error {
	_, err := m.doLong(at.Command{Line: "AT+QIACT", Timeout: m.cfg.ActivateTimeout})
	o := &m.owner
	switch {
	case err == nil:
		o.activation = 0
		m.count(func(s *Stats) { s.Activations++ })
		return nil
	case isRefusal(err):
		o.activation++
		o.deactFirst = true
		if o.activation < activationTries {
			return nil // once more, after AT+QIDEACT
		}
		o.activation = 0
		return fail(CauseAPN, "activate the context", "the network refused it %d times: check APN %q, user and password, "+
			"and whether the plan has data left", activationTries, m.cfg.APN)
	}
	return err
}

// localAddress asks for the address, which is also the last step of the activation. On the wire:
//
//	AT+QILOCIP → 10.12.34.56, without an OK
//
// A module that knows no such question has a context all the same.
func (m *Modem) localAddress() error {
	r, err := m.do(at.Command{Line: "AT+QILOCIP", Accept: addressReply, Timeout: m.cfg.CommandTimeout, Trailing: []string{"OK"}})
	l := &m.owner.lacks
	if isRefusal(err) && l.addresses == 0 {
		l.addresses++
		return fmt.Errorf("%w: AT+QILOCIP was refused", errNeedsDeact)
	}
	if err != nil && !isRefusal(err) {
		return err
	}
	l.address, m.owner.address = true, ""
	if a, err := netip.ParseAddr(r.Final); err == nil {
		m.owner.address, l.address, l.addresses = a.String(), false, 0
	}
	return nil
}

// setting is one that the module refuses while a context is up, and on some firmware also when it has the value already.
type setting struct {
	name, value string
}

// powerOn are the values that hold when nobody has set them (G2.5, G2.7, G2.8, G2.12): a module that neither takes nor tells such a
// setting has these.
var powerOn = map[string]string{"QIFGCNT": "0", "QIMODE": "0", "QIMUX": "0", "QIDNSIP": "0", "QINDI": "0"}

// prepare makes what has to be set before the context, once for each context. On the wire (G2.5, G2.6, G2.8, G2.12, G3.2, G5.5):
//
//	AT+QIFGCNT=0, AT+QICSGP=1,"CMNET", AT+QIMODE=0, AT+QIMUX=0, AT+QINDI=1 → OK
//
// With pushed receive (G2.9 to G2.11, G5.1) instead of the last, with transparent mode (G2.12, G2.13) instead of QIMODE=0:
//
//	AT+QINDI=0, AT+QIHEAD=1, AT+QISHOWRA=1, AT+QISHOWPT=1 → OK
//	AT+QIMODE=1, AT+QINDI=0, AT+QITCFG=3,2,512,1 → OK
//
// fresh says that there is no context yet.
func (m *Modem) prepare(fresh bool) error {
	if m.owner.prepared {
		return nil
	}
	list := []setting{{"QIFGCNT", "0"}}
	if m.cfg.APN != "" {
		v := "1," + quote(m.cfg.APN)
		if m.cfg.User != "" || m.cfg.Password != "" {
			v += "," + quote(m.cfg.User) + "," + quote(m.cfg.Password)
		}
		list = append(list, setting{"QICSGP", v})
	}
	mode, form := "0", "1"
	if m.cfg.Mode == Transparent {
		mode = "1"
	}
	if m.cfg.Mode == Transparent || m.pushed() {
		form = "0"
	}
	list = append(list, setting{"QIMODE", mode}, setting{"QIMUX", "0"}, setting{"QINDI", form})
	if m.cfg.Mode == Command && m.pushed() {
		list = append(list, setting{"QIHEAD", "1"}, setting{"QISHOWRA", "1"}, setting{"QISHOWPT", "1"})
	}
	for _, s := range list {
		err := m.setOrCheck(s, fresh)
		if s.name == "QINDI" && s.value == "1" && CauseOf(err) == CauseContext { // it keeps no data for AT+QIRD
			m.owner.lacks.buffer = true
			return m.prepare(fresh)
		}
		if err != nil {
			return err
		}
	}
	if m.cfg.Mode == Transparent {
		if err := m.configureData(); err != nil {
			return err
		}
	}
	m.owner.prepared = true
	return nil
}

// setOrCheck sets a value; if that is refused, it reads the value back, and only if it differs the context has to go (G3.2). A value
// that isn't told is the one of the power-on when there is no context that could be why.
func (m *Modem) setOrCheck(s setting, fresh bool) error {
	err := m.set("AT+" + s.name + "=" + s.value)
	if !isRefusal(err) {
		return err
	}
	prefix := "+" + s.name + ":"
	r, rerr := m.do(at.Command{Line: "AT+" + s.name + "?", Accept: at.Prefixed(prefix), Timeout: m.cfg.CommandTimeout})
	if rerr != nil && !isRefusal(rerr) {
		return rerr
	}
	for _, line := range r.Lines {
		if f, ok := fields(line, prefix); ok && sameSetting(f, s.value) {
			return nil
		}
	}
	o := &m.owner
	again := o.refused[s.name]
	if len(r.Lines) == 0 && powerOn[s.name] == s.value && (fresh || again) {
		return nil
	}
	if again {
		delete(o.refused, s.name)
		return fail(CauseContext, "set up the context", "the module refuses AT+%s also without a context: %w", s.name, err)
	}
	if o.refused == nil {
		o.refused = make(map[string]bool)
	}
	o.refused[s.name] = true
	return fmt.Errorf("%w: AT+%s was refused", errNeedsDeact, s.name)
}

// deactivate drops the context. On the wire (G7.2, G7.3):
//
//	AT+QIDEACT → DEACT OK, within 60 s or the module has to be restarted
func (m *Modem) deactivate(ctx context.Context) error {
	const op = "drop the context"
	m.owner.contextUp, m.owner.prepared, m.owner.regApp = false, false, time.Time{}
	_, err := m.doLong(at.Command{Line: "AT+QIDEACT", Accept: deactReply, Timeout: m.cfg.DeactTimeout, Trailing: []string{"OK"}})
	if err != nil && !isRefusal(err) { // in IP INITIAL there is nothing to drop, and it answers ERROR
		return m.as(CausePower, op, err)
	}
	m.owner.deactFirst = false
	if err := m.pause(afterDeact, ctx.Done()); err != nil {
		return m.as(CauseContext, op, err)
	}
	return nil
}

// down drops a context that is not needed (G7.2).
func (m *Modem) down(ctx context.Context) error {
	if s := m.owner.sock; s != nil {
		if !s.conn.isClosed() && !s.remoteClosed {
			return &Error{CauseUsage, "drop the context", errBusy}
		}
		m.closeSocket()
	}
	if !m.owner.contextUp {
		return nil
	}
	if err := m.deactivate(ctx); err != nil {
		return err
	}
	m.setState(StepContext, "the context was dropped on demand", nil)
	return nil
}

func deactReply(line string) at.Verdict {
	switch line {
	case "DEACT OK":
		return at.Done
	case "OK": // some firmware says it first
		return at.More
	case "CLOSED", "+PDP DEACT", "+PDP: DEACT": // of what is being dropped
		return at.More
	}
	return at.Final(line)
}

// naming tells the module whether AT+QIOPEN gets a name or an address (G2.7). On the wire:
//
//	AT+QIDNSIP=1 → OK
func (m *Modem) naming(isName bool) error {
	want := 0
	if isName {
		want = 1
	}
	if m.owner.names == want {
		return nil
	}
	if err := m.setOrCheck(setting{"QIDNSIP", fmt.Sprint(want)}, true); err != nil {
		return err
	}
	m.owner.names = want
	return nil
}
