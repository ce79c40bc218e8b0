package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// up goes the way from the port to an address, from wherever the module stands. A module that restarts on the way is taken up
// from the start again, but not for ever: a weak supply makes it restart at each attempt.
func (m *Modem) up(ctx context.Context) error {
	if m.owner.sock != nil && m.owner.contextUp && m.owner.restartFor == "" {
		return nil
	}
	const starts = 3
	var err error
	for range starts {
		if err = m.sitOut(ctx); err != nil {
			break
		}
		m.owner.found = m.owner.boots
		if m.owner.contextUp && m.owner.synced && m.owner.restartFor == "" {
			err = m.onNetwork(ctx)
		} else {
			err = m.climb(ctx)
		}
		if err == nil && m.owner.contextUp {
			m.setState(StepReady, m.owner.where(), nil)
			return nil
		}
		if err == nil { // the context was lost meanwhile
			err = m.as(CauseContext, "activate the context", errStale)
			continue
		}
		restarted := m.owner.found != m.owner.boots || m.owner.unended && m.restartAllowed()
		if !restarted || ctx.Err() != nil || m.owner.fatal != nil {
			break
		}
	}
	if m.owner.fatal != nil {
		err = m.owner.fatal
	}
	m.setState(m.State().Step, err.Error(), err)
	return err
}

func (m *Modem) climb(ctx context.Context) error {
	for _, step := range []func(context.Context) error{m.power, m.settings, m.sim, m.register, m.attach, m.activate} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// power finds a module that answers, and restarts it if it has to be and may be.
func (m *Modem) power(ctx context.Context) error {
	if m.owner.synced {
		if _, err := m.restartDue(ctx); err != nil {
			return err
		}
	}
	if m.owner.synced {
		return nil
	}
	err := m.findSpeed()
	if errors.Is(err, at.ErrHung) {
		err = m.otherSpeeds(ctx)
	}
	if errors.Is(err, at.ErrHung) {
		m.wantRestart("it gives no answer to AT")
		done, rerr := m.restartDue(ctx)
		if rerr != nil {
			return rerr
		}
		if done {
			err = m.findSpeed()
		}
	}
	switch {
	case err == nil:
		m.owner.synced, m.owner.restartFor, m.owner.found, m.owner.boot.begun = true, "", m.owner.boots, true
		return nil
	case errors.Is(err, at.ErrHung):
		return fail(CausePower, "wake the module", "no answer to AT: check that it is switched on (STATUS), the wires and the baud rate")
	}
	m.after(err)
	return m.as(CausePower, "wake the module", err)
}

// findSpeed synchronises (G9.1). On the wire:
//
//	AT, each 500 ms, up to 15 times → OK
func (m *Modem) findSpeed() error {
	m.setState(StepPower, "asking the module for a sign of life", nil)
	err := m.d.Sync(m.cfg.SyncTries, m.cfg.SyncEvery)
	if !errors.Is(err, at.ErrHung) {
		return err
	}
	m.setState(StepPower, "no answer; leading the module out of a data mode or prompt it may have been left in", nil)
	if err := m.d.Escape(); err != nil {
		return err
	}
	return m.d.Sync(m.cfg.SyncTries, m.cfg.SyncEvery)
}

// settings makes what holds until the module restarts. On the wire:
//
//	ATE0, ATV1, AT+CMEE=1 → OK
//	AT+IPR? → +IPR: 0, then AT+IPR=115200&W → OK (G2.1; only when it differs, since flash wears out)
//	AT&D0 → OK: what opening and closing the port does to DTR ends nothing
//	AT+QISDE=0 → OK: payload is not echoed; AT+QIPROMPT=1 → OK: prompt and SEND OK are shown
//	AT+CREG=1 → OK: changes of registration are reported (G2.3); in transparent mode instead
//	AT+CREG=0, AT+QIURC=0, AT+CNMI=0,0,0,0,0 → OK: no report of registration, start-up and messages
func (m *Modem) settings(context.Context) error {
	if m.owner.configured {
		return nil
	}
	// A module that refuses one of these works as well: with its echo on, and with refusals that give no number.
	for _, line := range []string{"ATE0", "ATV1", "AT+CMEE=1"} {
		m.owner.lacks.echo = false
		if err := m.set(line); err != nil && !isRefusal(err) {
			return m.as(CausePower, "set up the module", err)
		}
	}
	if err := m.fixBaud(); err != nil {
		return m.as(CausePower, "fix the baud rate", err)
	}
	err := m.set("AT+QISDE=0")
	m.owner.mayEcho = err != nil
	lines := []string{"AT&D0", "AT+QIPROMPT=1", "AT+CREG=1"}
	if m.cfg.Mode == Transparent { // what is said in data mode reads like data
		lines = []string{"AT&D0", "AT+QIPROMPT=1", "AT+CREG=0", "AT+QIURC=0", "AT+CNMI=0,0,0,0,0"}
	}
	for _, line := range lines {
		if err == nil || isRefusal(err) { // a firmware that doesn't know one of these works as well
			err = m.set(line)
		}
	}
	if err != nil && !isRefusal(err) {
		return m.as(CausePower, "set up the module", err)
	}
	m.owner.configured = true
	return nil
}

func (m *Modem) fixBaud() error {
	if m.cfg.Baud == 0 {
		return nil
	}
	r, err := m.do(at.Command{Line: "AT+IPR?", Accept: at.Prefixed("+IPR:"), Timeout: m.cfg.CommandTimeout})
	if err != nil && !isRefusal(err) {
		return err
	}
	if len(r.Lines) == 0 { // a module that doesn't tell its speed keeps the one that has just worked
		return nil
	}
	if now, ok := number(r.Lines[0], "+IPR:", 0); ok && now == m.cfg.Baud {
		return nil
	}
	if err := m.set(fmt.Sprintf("AT+IPR=%d&W", m.cfg.Baud)); !isRefusal(err) {
		return err
	}
	return nil
}

// set sends a command that is answered by OK.
func (m *Modem) set(line string) error {
	_, err := m.do(at.Command{Line: line, Timeout: m.cfg.CommandTimeout})
	return err
}

// tellPatience is how long a module that doesn't tell where it stands is asked before the next step is tried without: after a start
// some refuse the question for a while.
const tellPatience = 5 * time.Second

// register waits until a network has taken the SIM. On the wire (G2.3):
//
//	AT+CREG? → +CREG: 1,1 (home) or 1,5 (roaming), OK; if that isn't told, AT+CGREG? → +CGREG: 1,1, OK
func (m *Modem) register(ctx context.Context) error {
	const op = "register"
	m.setState(StepRegistration, "searching for a network", nil)
	deadline := time.Now().Add(m.cfg.RegisterTimeout)
	// A refusal is believed only when it has lasted: with a weak signal the state changes within seconds.
	const patience = 30 * time.Second
	var denied, untold time.Time
	for {
		stat, err := m.askRegistration()
		if err != nil {
			return m.as(CausePower, op, err)
		}
		now := time.Now()
		if stat >= 0 {
			untold = time.Time{}
		} else if untold.IsZero() {
			untold = now
		}
		late := now.After(deadline)
		switch {
		case stat < 0 && now.Sub(untold) >= tellPatience: // whether GPRS is there decides, and AT+QIACT
			return nil
		case stat == 1, stat == 5 && !m.cfg.HomeOnly:
			m.owner.radio = radioCycles{}
			return nil
		case stat == 5:
			return fail(CauseRoaming, op, "only a foreign network took the SIM, and roaming is switched off: allow it if its cost is meant")
		case stat != 3:
			denied = time.Time{}
		case denied.IsZero() && !late:
			denied = now
			m.setState(StepRegistration, "a network refuses the SIM; waiting whether another takes it", nil)
		case late, now.Sub(denied) >= patience:
			return fail(CauseDenied, op, "the network refuses this SIM (registration denied): is it active, and is its plan for this network?")
		}
		tired := m.owner.radio.due(m.cfg.RadioSpacing, now)
		if tired { // the SIM begins anew with it, so this ends here
			if err := m.cycleRadio(); err != nil {
				return m.as(CausePower, op, err)
			}
		}
		if tired || late {
			return fail(CauseSearching, op, "no network after %v: check the antenna and the place; the module goes on searching",
				m.cfg.RegisterTimeout)
		}
		if err := m.pause(time.Second, ctx.Done()); err != nil {
			return m.as(CauseSearching, op, err)
		}
	}
}

// attach waits for GPRS, and asks for it when it does not come by itself. On the wire (G2.4, G9.3):
//
//	AT+CGATT? → +CGATT: 1, OK; after 10 s of +CGATT: 0: AT+CGATT=1 → OK within 180 s
func (m *Modem) attach(ctx context.Context) error {
	const op, patience = "attach to GPRS", 10 * time.Second
	m.setState(StepAttach, "waiting for GPRS", nil)
	begun := time.Now()
	asked := false
	var told time.Time
	for {
		attached, known, err := m.attached()
		if err != nil {
			return m.as(CausePower, op, err)
		}
		if known || told.IsZero() {
			told = time.Now()
		}
		if attached || time.Since(told) >= tellPatience { // AT+QIACT shows it, too
			m.netThere()
			return nil
		}
		waited := time.Since(begun)
		switch {
		case waited >= m.cfg.AttachTimeout:
			return fail(CauseAttach, op, "no GPRS after %v: does the plan include data, and does this cell carry it?", m.cfg.AttachTimeout)
		case waited >= patience && !asked:
			asked = true
			m.setState(StepAttach, "asking the network for GPRS", nil)
			_, err := m.doLong(at.Command{Line: "AT+CGATT=1", Timeout: m.cfg.AttachTimeout})
			if err != nil && !isRefusal(err) {
				return m.as(CauseAttach, op, err)
			}
		}
		if err := m.pause(time.Second, ctx.Done()); err != nil {
			return m.as(CauseAttach, op, err)
		}
	}
}

// as makes the *Error of a step out of how an exchange or a pause ended.
func (m *Modem) as(c Cause, op string, err error) error {
	var e *Error
	var port *at.PortError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case m.owner.fatal != nil:
		return m.owner.fatal
	case errors.As(err, &port):
		c = CausePort
	case errors.Is(err, at.ErrTimeout) && !m.owner.synced: // and no probe was answered either (G9.3)
		return &Error{CausePower, op, errHung}
	case errors.Is(err, errRebooted), errors.Is(err, at.ErrRestarted), errors.Is(err, at.ErrHung):
		c = CausePower
	}
	return &Error{c, op, err}
}

func isRefusal(err error) bool {
	var e *at.Error
	return errors.As(err, &e)
}
