package gsmnet

import (
	"context"
	"fmt"
	"time"
)

// A module whose supply is too weak restarts at each burst that it sends. Bringing it up at once each time would only make it send the
// next one.
const (
	stormBoots = 3
	stormSpan  = 10 * time.Minute
	// stormRest is how long such a module is left alone after a restart.
	stormRest = 3 * time.Minute
	// sameBoot is within which two signs of a restart are of the same one: a module needs longer to come up and send again.
	sameBoot = 5 * time.Second
)

// bootStorm is when the module was seen to restart by itself, the last few times. Owner goroutine only.
type bootStorm struct {
	begun bool // the module has answered, or its first start was seen, which may be the power-on
	at    []time.Time
}

// note takes a restart, and reports whether there were too many within a short time.
func (b *bootStorm) note(now time.Time) bool {
	if !b.begun {
		b.begun = true
		return false
	}
	if n := len(b.at); n > 0 && now.Sub(b.at[n-1]) < sameBoot {
		return false
	}
	b.at = append(b.at, now)
	b.at = b.at[max(0, len(b.at)-stormBoots):]
	return len(b.at) == stormBoots && now.Sub(b.at[0]) <= stormSpan
}

// alarm is what somebody has to look at although the driver goes on.
type alarm struct {
	text  string
	until time.Time // when it is over unless it is raised again
}

// raise shows an alarm with the State for a while.
func (m *Modem) raise(text string, until time.Time) {
	m.mu.Lock()
	m.alarm = alarm{text, until}
	m.mu.Unlock()
	s := m.State()
	if m.cfg.OnState != nil {
		m.cfg.OnState(s)
	}
}

// selfRestart takes note of a restart that nobody asked for.
func (m *Modem) selfRestart() {
	now := time.Now()
	if m.owner.boot.note(now) {
		m.raise(fmt.Sprintf("power supply: the module has restarted by itself %d times within %v; check that the supply holds 2 A bursts",
			stormBoots, stormSpan), now.Add(stormSpan))
	}
}

// sitOut leaves a module alone that restarts again and again.
func (m *Modem) sitOut(ctx context.Context) error {
	m.mu.Lock()
	a := m.alarm
	m.mu.Unlock()
	b := m.owner.boot.at
	if len(b) == 0 || !time.Now().Before(a.until) {
		return nil
	}
	wait := time.Until(b[len(b)-1].Add(stormRest))
	if wait <= 0 {
		return nil
	}
	m.setState(StepPower, fmt.Sprintf("%s; it is left alone for %v", a.text, wait.Round(time.Second)), nil)
	if err := m.rest(wait, ctx.Done()); err != nil {
		return m.as(CausePower, "leave the module alone", err)
	}
	return nil
}
