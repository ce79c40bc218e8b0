package gsmnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// guideSpacing is how long each restart but the first waits after the one before, when no connection came in between (G9.4); the last
// value holds for all that follow.
var guideSpacing = []time.Duration{10 * time.Minute, 30 * time.Minute, time.Hour}

// bootWithin is for how long after a restart of ours its signs are of that one: the log-off, and a slow start.
const bootWithin = 45 * time.Second

// bootTime is how long a module is left alone after a restart: it takes its first AT after 4 to 5 s.
const bootTime = 5 * time.Second

// restartIn is how long the next restart has to wait. A clock that was set back, or lost, makes it wait the whole time again.
func (m *memory) restartIn(spacing []time.Duration, now time.Time) time.Duration {
	if m.Restarts == 0 {
		return 0
	}
	wait := spacing[min(m.Restarts, len(spacing))-1]
	passed := now.Sub(m.Last)
	if passed < 0 {
		m.Last, passed = now, 0
	}
	return max(0, wait-passed)
}

// noteRestart is called before the restart, so that a program that dies with it still knows.
func (m *memory) noteRestart(now time.Time) error {
	m.Restarts++
	m.Last = now.Round(0)
	return m.save()
}

// noteSuccess ends a row of restarts.
func (m *memory) noteSuccess() {
	if err := m.load(); err == nil && m.Restarts > 0 {
		m.Restarts = 0
		_ = m.save() // at worst the next restart comes later than it had to
	}
}

// wantRestart notes that a command was not answered within the limit after which the module has to be restarted (G7.3, G9.2, G9.3).
func (m *Modem) wantRestart(why string) { m.owner.restartFor = why }

// restartAllowed reports whether a restart could be done now.
func (m *Modem) restartAllowed() bool {
	return m.owner.memory.load() == nil && m.owner.memory.restartIn(m.cfg.Spacing, time.Now()) == 0
}

// restartDue restarts the module if it has to be and may be. It reports whether it has. On the wire:
//
//	AT+CFUN=1,1 → OK, and the module starts anew
//
// or what Config.Restart does, if the module doesn't answer or doesn't take that.
func (m *Modem) restartDue(ctx context.Context) (bool, error) {
	const op = "restart the module"
	o := &m.owner
	if o.restartFor == "" || !o.synced && m.cfg.Restart == nil {
		return false, nil
	}
	if err := o.memory.load(); err != nil {
		return false, &Error{CausePower, op, err}
	}
	now := time.Now()
	if wait := o.memory.restartIn(m.cfg.Spacing, now); wait > 0 {
		m.setState(StepPower, fmt.Sprintf("%s; the next restart is allowed in %v (G9.4)", o.restartFor, wait.Round(time.Second)), nil)
		return false, nil
	}
	err := m.restart(ctx, now, false)
	if errors.Is(err, errNotTaken) { // then at least everything is found out anew
		err = nil
	}
	return true, err
}

var errNotTaken = errors.New("it doesn't take AT+CFUN=1,1, and no way is configured to restart it from outside")

// restart does it; that it may be done was found out before.
func (m *Modem) restart(ctx context.Context, now time.Time, hard bool) error {
	const op = "restart the module"
	o := &m.owner
	m.setState(StepPower, "restarting the module: "+o.restartFor, nil)
	why := errors.New("restarted by this program: " + o.restartFor)
	m.leaveData()
	if err := o.memory.noteRestart(now); err != nil {
		return fail(CausePower, op, "it can't be noted, so it is not done: %w", err)
	}
	o.restarted = time.Now()
	unended := o.unended
	o.unended = false
	soft := false
	if hard = hard || unended && m.cfg.Restart != nil; o.synced && !hard { // G7.3: EMERG_OFF and PWRKEY
		_, err := m.d.Do(at.Command{Line: "AT+CFUN=1,1", Timeout: m.cfg.CommandTimeout, Blind: true})
		m.notePort(err)
		soft = err == nil || errors.Is(err, at.ErrRestarted)
	}
	var refused error
	switch {
	case soft:
	case m.cfg.Restart == nil:
		refused = &Error{CausePower, op, errNotTaken}
	default:
		if o.synced && !unended {
			m.switchOff()
		}
		if err := m.cfg.Restart(ctx); err != nil {
			return &Error{CausePower, op, err}
		}
	}
	o.restartFor = ""
	m.rebooted(why)
	if err := m.rest(bootTime, ctx.Done()); err != nil {
		return m.as(CausePower, op, err)
	}
	return refused
}

// rest is a pause during which the module may report its start.
func (m *Modem) rest(wait time.Duration, gone <-chan struct{}) error {
	until := time.Now().Add(wait)
	for {
		err := m.pause(time.Until(until), gone)
		if !errors.Is(err, errRebooted) {
			return err
		}
	}
}
