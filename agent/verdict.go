package agent

import (
	"fmt"
	"strings"
	"time"
)

// stalled is how long nothing may be confirmed of what is under way until the link is no longer called fine: more than a
// full window and the largest payload take at the worst rate of GPRS.
const stalled = 45 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// verdict says in one word and one sentence how things stand. It is called with the board's lock held and reads from st
// what doesn't come from the board.
func (b *board) verdict(st *Status) (Verdict, string) {
	if st.Queue.Error != "" {
		return VerdictBlocked, "the storage has failed: " + st.Queue.Error
	}
	if b.connected {
		for _, s := range b.steps {
			if s.State != StepOK {
				return VerdictConnecting, join(fmt.Sprintf("%s: %s for %s; the connection is kept", s.Step, orState(s),
					Span(st.Time.Sub(s.Since))), Waiting(st.Queue.Messages))
			}
		}
		if still := st.Time.Sub(later(b.moved, b.since)); b.delivery.InFlight > 0 && still > stalled {
			return VerdictConnecting, join("connected, but no delivery was confirmed for "+Span(still), Waiting(st.Queue.Messages))
		}
		if why := heldReason(st.Usage); why != "" {
			return VerdictBlocked, join(why, Waiting(st.Queue.Messages))
		}
		return VerdictOK, join("connected for "+Span(st.Time.Sub(b.since)), Waiting(st.Queue.Messages))
	}
	verdict := VerdictConnecting
	if CauseOf(b.lastErr).NeedsPerson() {
		verdict = VerdictBlocked
	}
	why, last := b.whyNot(st)
	return verdict, join(why, last, Waiting(st.Queue.Messages))
}

// passed is what a person calls a step that is behind.
var passed = map[Step]string{
	StepPort: "port open", StepPower: "module on", StepSIM: "SIM ready", StepRegistration: "registered", StepAttach: "attached",
	StepIP: "online", StepTCP: "TCP connected", StepTLS: "TLS up",
}

// again is how a person speaks of the time when a step was passed before.
var again = map[Step]string{StepSIM: "ready", StepRegistration: "registered", StepAttach: "attached", StepIP: "online"}

// whyNot explains why there is no session, and when there was last one, or the step before it at which things stand now.
func (b *board) whyNot(st *Status) (why, last string) {
	// While nothing is tried, what somebody has to do comes first.
	blocked := b.retryAt.After(st.Time) && CauseOf(b.lastErr).NeedsPerson()
	for i, s := range b.steps {
		if s.State != StepWaiting || blocked {
			continue
		}
		why = fmt.Sprintf("%s for %s", orState(s), Span(st.Time.Sub(s.Since)))
		if i > 0 && b.steps[i-1].State == StepOK && passed[b.steps[i-1].Step] != "" {
			why = passed[b.steps[i-1].Step] + ", " + why
		}
		if done := again[s.Step]; done != "" {
			return why, lastTime(done, b.wasOK[s.Step], st.Time)
		}
		return why, lastTime("connected", b.lastUp, st.Time)
	}
	last = lastTime("connected", b.lastUp, st.Time)
	if b.lastErr == nil && b.lastUp.IsZero() {
		return "starting", last
	}
	if b.lastErr == nil || b.trying {
		return b.between(), last
	}
	why = whyOf(b.lastErr)
	if wait := b.retryAt.Sub(st.Time); wait > 0 {
		why += "; next attempt in " + Span(wait)
	}
	return why, last
}

// between is what to say while an attempt is between two steps: the last error is that of another attempt.
func (b *board) between() string {
	why := "connecting again"
	for _, s := range b.steps {
		if s.State != StepOK {
			break
		}
		if done := passed[s.Step]; done != "" {
			why = done + ", connecting again"
		}
	}
	return why
}

// lastTime says when something was so: by the clock, with the date where that is another one.
func lastTime(what string, at, now time.Time) string {
	switch {
	case at.IsZero():
		return "never " + what + " since the start"
	case at.Format(time.DateOnly) == now.Format(time.DateOnly):
		return "last " + what + " " + at.Format("15:04")
	}
	return "last " + what + " " + at.Format("Jan 2 15:04")
}

// KeepaliveNote says in a few words where the interval comes from.
func KeepaliveNote(k *KeepaliveStatus) string {
	switch {
	case !k.Learned:
		return "as configured"
	case k.ProvenSeconds == nil && k.TooLongSeconds == nil:
		return "to begin with"
	case k.TooLongSeconds != nil:
		return "learned: " + Span(time.Duration(*k.TooLongSeconds)*time.Second) + " was too long"
	}
	return "learned"
}

// Waiting says how many messages wait.
func Waiting(messages uint64) string {
	switch messages {
	case 0:
		return "nothing waits"
	case 1:
		return "1 message waits"
	default:
		return fmt.Sprintf("%d messages wait", messages)
	}
}

func orState(s StepStatus) string {
	if s.Why != "" {
		return s.Why
	}
	return string(s.State)
}

func join(parts ...string) string { return strings.Join(parts, "; ") }

// Span writes a duration as a person would say it: the two largest units, no fractions.
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Second:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return units(d, time.Minute, "min", time.Second, "s")
	case d < 24*time.Hour:
		return units(d, time.Hour, "h", time.Minute, "min")
	}
	return units(d, 24*time.Hour, "d", time.Hour, "h")
}

func units(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d %s", d/big, bigName)
	if rest := d % big / small; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, smallName)
	}
	return text
}
