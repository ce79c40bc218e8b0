package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// keptPassed is how many messages the status names that others pass: where there are more, it isn't about each.
const keptPassed = 16

// passOver notes that others pass the message from now on.
func (b *board) passOver(m queue.Message, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.passed {
		if b.passed[i].Seq == m.Seq {
			b.passed[i].Attempts = m.Attempts
			return
		}
	}
	if len(b.passed) < keptPassed {
		b.passed = append(b.passed, SuspectStatus{Seq: m.Seq, ID: m.ID.String(), Topic: m.Topic, Attempts: m.Attempts, Since: now})
	}
}

// gaveUp notes that the message was set aside for good.
func (b *board) gaveUp(m queue.Message, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setAside = &SuspectStatus{Seq: m.Seq, ID: m.ID.String(), Topic: m.Topic, Attempts: m.Attempts, Since: now}
}

func (b *board) passedOver() []SuspectStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.passed)
}

// forgetPassed leaves out those that have left the queue, in whatever way.
func (a *Agent) forgetPassed() {
	for _, s := range a.board.passedOver() {
		if _, err := a.cfg.Queue.Get(s.Seq); isGone(err) {
			a.board.hasGone(s.Seq)
		}
	}
}

func (b *board) hasGone(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passed = slices.DeleteFunc(b.passed, func(s SuspectStatus) bool { return s.Seq == seq })
}

// passedReason names the message that others pass; empty: there is none. A topic may be long.
func passedReason(passed []SuspectStatus, now time.Time) string {
	if len(passed) == 0 {
		return ""
	}
	s := passed[0]
	text := fmt.Sprintf("message %d on %.60s is passed over for %s: the broker ends the connection at it, or never answers it; see: fieldpost queue show %d",
		s.Seq, s.Topic, Span(now.Sub(s.Since)), s.Seq)
	if more := len(passed) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}
