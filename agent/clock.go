package agent

import (
	"context"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// earliest is a lower bound of the present: a wall clock that shows less was never set. Boards without a battery start in
// 1970, the module's own clock in 1980 or 2004.
var earliest = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clockStep is by how much the wall clock may drift from the monotonic one before the queue is told again.
const clockStep = 2 * time.Second

// watchClock tells the queue how far the wall clock is to be trusted: at once, when that changes, and when the clock was
// set. The queue then corrects the stamps of messages that were taken in before.
func (a *Agent) watchClock(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var told queue.Trust
	begin := time.Now()
	var offset time.Duration // of the wall clock against the monotonic one, when the queue was last told
	for {
		now := time.Now()
		trust := trustOf(now, clockSynced())
		drift := now.Round(0).Sub(begin.Round(0)) - now.Sub(begin) - offset
		if trust != queue.TrustUnknown && (trust != told || drift.Abs() > clockStep) {
			if err := a.cfg.Queue.SetClock(ctx, now, trust); err != nil && ctx.Err() == nil {
				a.cfg.Log.Error().Err(err).Msg("the queue can't be told the time")
			} else {
				a.cfg.Log.Info().Stringer("trust", trust).Stringer("moved", drift.Round(time.Second)).Msg("clock")
				told, offset = trust, offset+drift
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// ClockTrust returns how far the machine's wall clock, which shows now, is to be believed.
func ClockTrust(now time.Time) queue.Trust { return trustOf(now, clockSynced()) }

func trustOf(now time.Time, synced bool) queue.Trust {
	switch {
	case now.Before(earliest):
		return queue.TrustUnknown
	case synced:
		return queue.TrustKnown
	}
	return queue.TrustGuessed
}
