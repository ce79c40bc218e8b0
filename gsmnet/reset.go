package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// ErrTooSoon means that the spacing of G9.4 doesn't allow a restart yet.
var ErrTooSoon = errors.New("the module was restarted not long ago")

// Wake waits until the module answers and does nothing more: no SIM, no network (G9.1). It is for asking a module whose
// connection nobody wants.
func (m *Modem) Wake(ctx context.Context) error {
	_, err := m.ask(ctx, m.ops, func(ctx context.Context) (any, error) { return nil, m.power(ctx) })
	return err
}

// Restart restarts the module now, in the way and with the spacing of its own restarts: by AT+CFUN=1,1 if it answers, else by
// Config.Restart. hard goes to Config.Restart at once; force doesn't keep the spacing of G9.4. Without force the error is
// ErrTooSoon, with the time to wait in its text, when it would be too early. The connection ends; who waits in Up or DialContext
// goes on with the module that starts.
func (m *Modem) Restart(ctx context.Context, hard, force bool) error {
	const op = "restart the module"
	if hard && m.cfg.Restart == nil {
		return fail(CauseUsage, op, "no way is configured to restart it from outside")
	}
	_, err := m.ask(ctx, m.cmds, func(ctx context.Context) (any, error) {
		o := &m.owner
		if err := o.memory.load(); err != nil {
			return nil, &Error{CausePower, op, err}
		}
		now := time.Now()
		if wait := o.memory.restartIn(m.cfg.Spacing, now); wait > 0 && !force {
			return nil, fail(CausePower, op, "%w: the next restart is allowed in %v (G9.4)", ErrTooSoon, wait.Round(time.Second))
		}
		if !o.synced && !hard { // nobody has asked it yet, or it has not answered the last time
			o.synced = m.findSpeed() == nil
		}
		if !o.synced && m.cfg.Restart == nil {
			return nil, fail(CausePower, op, "it doesn't answer, and no way is configured to restart it from outside")
		}
		o.restartFor = "it was asked for"
		return nil, m.restart(ctx, now, hard)
	})
	return err
}

// switchOff asks the module to log off from the network and switch itself off, so that what restarts it from outside cuts
// nothing. On the wire:
//
//	AT+QPOWD=1 → NORMAL POWER DOWN
func (m *Modem) switchOff() {
	const line = "AT+QPOWD=1"
	// A module that doesn't take it is switched off by force.
	_, _ = m.d.Do(at.Command{Line: line, Accept: endsWith(commandEnds[line]), Timeout: m.cfg.CommandTimeout})
}

// Pins are the module's pins as far as they are wired. Their Restart fits Config.Restart.
type Pins struct {
	PowerKey func(low bool) error          // pulls PWRKEY low, or lets it go; nil: the board keeps it low, a module without supply starts by itself
	EmergOff func(low bool) error          // the same with EMERG_OFF; nil: not wired
	Status   func() (high bool, err error) // reads STATUS; nil: not wired
}

// How the pins want to be driven (M95 and M66 hardware design).
const (
	logOffTime  = 12 * time.Second        // from PWRKEY or AT+QPOWD=1 to off, at worst
	emergPulse  = 100 * time.Millisecond  // at least 20 ms
	offTime     = 500 * time.Millisecond  // between off and PWRKEY
	keyTime     = 1200 * time.Millisecond // when STATUS isn't watched: more than 1 s
	keyLimit    = 3 * time.Second         // STATUS rises 0.8 s after PWRKEY fell
	statusEvery = 50 * time.Millisecond
)

// Restart switches the module off and on again. PWRKEY is a toggle, so it is pressed only when the module is known to be off:
// because STATUS says so, or because EMERG_OFF was pulled. A module that may be logging off from the network is given its 12 s
// first. It takes up to 20 s.
func (p Pins) Restart(ctx context.Context) error {
	off, err := p.awaitOff(ctx, logOffTime)
	if err != nil {
		return err
	}
	if !off {
		if err := p.forceOff(ctx); err != nil {
			return err
		}
	}
	if p.PowerKey == nil {
		return nil
	}
	if err := sleep(ctx, offTime); err != nil {
		return err
	}
	return p.switchOn(ctx)
}

// awaitOff reports whether STATUS says that the module is off, within limit. Without STATUS the limit passes.
func (p Pins) awaitOff(ctx context.Context, limit time.Duration) (bool, error) {
	if p.Status == nil {
		return false, sleep(ctx, limit)
	}
	return p.awaitStatus(ctx, false, limit)
}

func (p Pins) awaitStatus(ctx context.Context, want bool, limit time.Duration) (bool, error) {
	for until := time.Now().Add(limit); ; {
		high, err := p.Status()
		if err != nil {
			return false, fmt.Errorf("read STATUS: %w", err)
		}
		if high == want {
			return true, nil
		}
		if !time.Now().Before(until) {
			return false, nil
		}
		if err := sleep(ctx, statusEvery); err != nil {
			return false, err
		}
	}
}

// forceOff pulls EMERG_OFF. Once it is low it is let go in any case.
func (p Pins) forceOff(ctx context.Context) error {
	switch {
	case p.EmergOff == nil && p.Status == nil:
		return errors.New("neither EMERG_OFF nor STATUS is wired, so nobody knows whether PWRKEY would switch the module on or off")
	case p.EmergOff == nil:
		return errors.New("the module hangs with STATUS high and EMERG_OFF is not wired: PWRKEY is a toggle and is not pressed; cut its supply")
	}
	if err := p.EmergOff(true); err != nil {
		return fmt.Errorf("pull EMERG_OFF: %w", err)
	}
	time.Sleep(emergPulse)
	if err := p.EmergOff(false); err != nil {
		return fmt.Errorf("let EMERG_OFF go: %w", err)
	}
	if p.Status == nil {
		return ctx.Err()
	}
	off, err := p.awaitStatus(ctx, false, 2*time.Second)
	if err == nil && !off {
		err = errors.New("STATUS stays high although EMERG_OFF was pulled: check both wires, and that no line feeds the module while it is off")
	}
	return err
}

// switchOn presses PWRKEY. Once it is low it is let go in any case.
func (p Pins) switchOn(ctx context.Context) error {
	if err := p.PowerKey(true); err != nil {
		return fmt.Errorf("pull PWRKEY: %w", err)
	}
	started, err := true, error(nil)
	if p.Status != nil {
		started, err = p.awaitStatus(ctx, true, keyLimit)
	} else {
		err = sleep(ctx, keyTime)
	}
	if e := p.PowerKey(false); e != nil {
		return fmt.Errorf("let PWRKEY go: %w", e)
	}
	if err == nil && !started {
		err = errors.New("STATUS stays low although PWRKEY was pressed: check the module's supply and both wires")
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
