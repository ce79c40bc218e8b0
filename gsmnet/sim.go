package gsmnet

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// sim waits for a SIM that is ready, and gives it its PIN if that is allowed. On the wire (G2.2):
//
//	AT+CPIN? → +CPIN: READY, OK
func (m *Modem) sim(ctx context.Context) error {
	const op = "get the SIM ready"
	if m.owner.noSIM {
		m.setState(StepSIM, "there is no SIM; asking again", nil)
	} else {
		m.setState(StepSIM, "asking for the SIM", nil)
	}
	deadline := time.Now().Add(m.cfg.SIMTimeout)
	unlocked := false
	var absent, untold time.Time
	for {
		r, err := m.do(at.Command{Line: "AT+CPIN?", Accept: at.Prefixed("+CPIN:"), Timeout: m.cfg.CommandTimeout})
		if err != nil && !isRefusal(err) {
			return m.as(CausePower, op, err)
		}
		status := simStatus(r, err)
		switch status {
		case "READY":
			m.owner.noSIM = false
			return nil
		case "SIM PIN":
			if unlocked { // and not yet seen by the module
				break
			}
			if err := m.unlock(); err != nil {
				return err
			}
			unlocked = true
		case "SIM PUK", "SIM PUK2", "PH-SIM PUK":
			return fail(CausePIN, op, "the SIM is blocked and asks for its PUK; that is never sent from here: "+
				"unblock the SIM in a phone with the PUK from its paperwork")
		case "PH-SIM PIN", "SIM PIN2":
			return fail(CausePIN, op, "the module asks for %q: its lock to one SIM or the SIM's second PIN has to be removed by hand", status)
		}
		now := time.Now()
		switch {
		case status != "NOT INSERTED":
			absent = time.Time{}
		case absent.IsZero() && !m.owner.noSIM:
			absent = now
			m.setState(StepSIM, "the module sees no SIM; waiting whether it does soon", nil)
		case m.owner.noSIM, now.Sub(absent) >= simGrace, now.After(deadline):
			m.owner.noSIM = true
			return fail(CauseSIM, op, "there is no SIM: insert one, and check the holder's contacts")
		}
		if status != simUntold {
			untold = time.Time{}
		} else if untold.IsZero() {
			untold = now
		} else if now.Sub(untold) >= tellPatience {
			if ready, err := m.readable(); err != nil || ready {
				return m.as(CausePower, op, err)
			}
		}
		if now.After(deadline) {
			return fail(CauseSIM, op, "the SIM is not ready after %v (%s): take it out and in again, or try another one",
				m.cfg.SIMTimeout, status)
		}
		if err := m.pause(time.Second, ctx.Done()); err != nil {
			return m.as(CauseSIM, op, err)
		}
	}
}

// simGrace is how long a SIM may take to be seen after a start.
const simGrace = 6 * time.Second

// simUntold is the status of a SIM in a module that doesn't know the question, or not yet.
const simUntold = "unknown"

// readable asks for what only a SIM that is unlocked tells. On the wire:
//
//	AT+CIMI → 001010000000001, OK
func (m *Modem) readable() (bool, error) {
	r, err := m.do(at.Command{Line: "AT+CIMI", Accept: digits(14), Timeout: m.cfg.CommandTimeout})
	if isRefusal(err) {
		return false, nil
	}
	return len(r.Lines) > 0, err
}

// simStatus makes one word of both arms of the answer: the text after +CPIN:, and the +CME ERROR numbers of TS 27.007.
func simStatus(r at.Reply, err error) string {
	if len(r.Lines) > 0 {
		return strings.TrimSpace(strings.TrimPrefix(r.Lines[len(r.Lines)-1], "+CPIN:"))
	}
	var e *at.Error
	if errors.As(err, &e) {
		switch e.Code {
		case 10:
			return "NOT INSERTED"
		case 11:
			return "SIM PIN"
		case 12:
			return "SIM PUK"
		case 14:
			return "SIM BUSY"
		}
		if e.Code >= 0 {
			return e.Result
		}
	}
	return simUntold
}

// unlock gives the SIM its PIN, once ever for a SIM and a PIN, and never when that could be the last try. On the wire:
//
//	AT+QCCID → 8986…, OK
//	AT+QTRPIN → +QTRPIN: 3,3,10,10, OK: tries left for PIN, PIN2, PUK, PUK2
//	AT+CPIN="1234" → OK
func (m *Modem) unlock() error {
	const op = "unlock the SIM"
	if m.cfg.PIN == "" {
		return fail(CausePIN, op, "the SIM asks for a PIN and none is configured: set the PIN, or switch the SIM's lock off in a phone")
	}
	r, err := m.do(at.Command{Line: "AT+QCCID", Accept: digits(10), Timeout: m.cfg.CommandTimeout})
	if err != nil || len(r.Lines) == 0 {
		if err != nil && !isRefusal(err) {
			return m.as(CausePower, op, err)
		}
		return fail(CausePIN, op, "the SIM's number can't be read, so it can't be noted that its PIN was tried: not tried")
	}
	iccid := bareICCID(r.Lines[0])
	left, err := m.triesLeft()
	if err != nil {
		return m.as(CausePower, op, err)
	}
	switch {
	case left < 0:
		return fail(CausePIN, op, "the module doesn't tell how many tries are left, so the PIN is not tried: switch the SIM's lock off in a phone")
	case left <= 1:
		return fail(CausePIN, op, "only %d try is left before the SIM blocks, so the PIN is not tried: enter it in a phone", left)
	}
	allowed, err := m.owner.memory.claim(iccid, m.cfg.PIN, left)
	if err != nil {
		return fail(CausePIN, op, "the try can't be noted, so the PIN is not tried: %w", err)
	}
	if !allowed {
		return fail(CausePIN, op, "this PIN was tried on this SIM before and did not unlock it, or it was not seen to: correct the PIN")
	}
	if err := m.set("AT+CPIN=" + quote(m.cfg.PIN)); err != nil {
		if isRefusal(err) {
			m.owner.memory.settle(iccid, m.cfg.PIN, false)
			return fail(CausePIN, op, "the SIM refused the PIN; it is not tried again: correct it (%d tries are left)", left-1)
		}
		return m.as(CausePIN, op, err)
	}
	m.owner.memory.settle(iccid, m.cfg.PIN, true)
	return nil
}

// triesLeft is -1 when the module does not tell.
func (m *Modem) triesLeft() (int, error) {
	for _, q := range []struct {
		line, prefix string
		field        int
	}{
		{"AT+QTRPIN", "+QTRPIN:", 0},
		{`AT+QPINC="SC"`, `+QPINC:`, 1},
	} {
		r, err := m.do(at.Command{Line: q.line, Accept: at.Prefixed(q.prefix), Timeout: m.cfg.CommandTimeout})
		if err != nil && !isRefusal(err) {
			return 0, err
		}
		if len(r.Lines) > 0 {
			if n, ok := number(r.Lines[0], q.prefix, q.field); ok {
				return n, nil
			}
		}
	}
	return -1, nil
}

func bareICCID(line string) string {
	line = strings.TrimPrefix(strings.TrimPrefix(line, "+QCCID:"), "+CCID:")
	return strings.Trim(strings.TrimSpace(line), `"`)
}
