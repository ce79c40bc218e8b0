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

// watchClock tells the queue what time it is and how far that is to be trusted: at once, when that changes, and when the
// clock was set. The queue then corrects the stamps of messages that were taken in before.
func (a *Agent) watchClock(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var told struct {
		trust queue.Trust
		wall  time.Time // what was told
		at    time.Time // and when, by the clock that doesn't jump
	}
	for {
		now := time.Now()
		wall, source, trust := a.presentTime(now)
		moved := wall.Sub(told.wall.Add(now.Sub(told.at)))
		if trust != queue.TrustUnknown && (trust > told.trust || trust == told.trust && moved.Abs() > clockStep) {
			if err := a.cfg.Queue.SetClock(ctx, wall, trust); err != nil && ctx.Err() == nil {
				a.cfg.Log.Error().Err(err).Msg("the queue can't be told the time")
			} else {
				a.cfg.Log.Info().Stringer("trust", trust).Str("source", source).Time("now", wall).Msg("clock")
				told.trust, told.wall, told.at = trust, wall, now
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

// presentTime is the machine's, or the network's where the machine's isn't known to be right.
func (a *Agent) presentTime(now time.Time) (wall time.Time, source string, trust queue.Trust) {
	wall, trust = now.Round(0), trustOf(now, clockSynced())
	if a.cfg.MachineTime != nil {
		wall, trust = a.cfg.MachineTime(now)
	}
	if trust != queue.TrustKnown && a.cfg.NetworkTime != nil {
		if t, from := a.cfg.NetworkTime(); !t.Before(earliest) {
			return t, from, queue.TrustKnown
		}
	}
	return wall, "machine", trust
}

func trustOf(now time.Time, synced bool) queue.Trust {
	switch {
	case now.Before(earliest):
		return queue.TrustUnknown
	case synced:
		return queue.TrustKnown
	}
	return queue.TrustGuessed
}

// WallClock tells the time and whether the clock was ever set.
func WallClock() (now time.Time, set bool) {
	now = time.Now()
	return now, trustOf(now, clockSynced()) != queue.TrustUnknown
}
