package queue

import (
	"time"

	"go.etcd.io/bbolt"
)

// nextDue returns how long the commit goroutine may sleep.
func (q *Queue) nextDue() time.Duration {
	now := time.Now()
	wait := checkEvery
	q.noteDue(now)
	for _, due := range []time.Time{q.removeBy, q.lossBy} {
		if !due.IsZero() {
			wait = min(wait, due.Sub(now))
		}
	}
	if !q.notBefore.IsZero() {
		wait = max(wait, q.notBefore.Sub(now))
	}
	return max(wait, 0)
}

// noteDue starts the clocks of what has begun to wait.
func (q *Queue) noteDue(now time.Time) {
	q.mu.Lock()
	removals, notes := len(q.removals), len(q.flightDirty)+len(q.triesDirty)
	losses := q.losses
	q.mu.Unlock()
	switch {
	case removals+notes == 0:
		q.removeBy = time.Time{}
	case removals >= maxRemovals:
		q.removeBy = now
	case q.removeBy.IsZero():
		q.removeBy = now.Add(q.cfg.ReleaseWait)
	}
	if !losses.open() {
		q.lossBy = time.Time{}
	} else if q.lossBy.IsZero() {
		q.lossBy = now.Add(q.cfg.LossWait)
	}
}

func reached(due, now time.Time) bool { return !due.IsZero() && !now.Before(due) }

// removalsDue reports whether releases and notes have waited long enough for a commit that they could share.
func (q *Queue) removalsDue() bool {
	now := time.Now()
	q.noteDue(now)
	return reached(q.removeBy, now) && !now.Before(q.notBefore)
}

func (q *Queue) lossesDue() bool {
	now := time.Now()
	return reached(q.lossBy, now) && !now.Before(q.notBefore)
}

// expiryDue reports whether a lane's oldest message is past its time. It looks once in checkEvery.
func (q *Queue) expiryDue() bool {
	now := time.Now()
	if now.Sub(q.lastCheck) < checkEvery {
		return false
	}
	q.lastCheck = now
	return q.headsOverdue(now)
}

// lookAfter does what needs no transaction of its own.
func (q *Queue) lookAfter() {
	if q.Err() != nil {
		return
	}
	if err := q.store.Load().inPlace(q.cfg.Path); err != nil {
		q.fail(err)
	}
}

// headsOverdue reports whether the oldest message of some lane is past its time.
func (q *Queue) headsOverdue(now time.Time) bool {
	view := q.viewTables()
	q.mu.Lock()
	clk := q.clock
	q.mu.Unlock()
	found := false
	q.view(func(tx *bbolt.Tx) error {
		for _, l := range Lanes() {
			k, v := tx.Bucket(laneBucket(l)).Cursor().First()
			if k == nil {
				continue
			}
			if seq, err := parseKey(k); err == nil && seq <= view.lanes[l].Tail {
				found = found || q.overdue(seq, v, view.refs, view.origins.at, &clk, now) != ""
			}
		}
		return nil
	})
	return found
}
