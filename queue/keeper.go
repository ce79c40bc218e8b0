package queue

import (
	"time"

	"go.etcd.io/bbolt"
)

const (
	// maxRemovals waiting make a commit due before ReleaseWait, which bounds their memory and the repeats after a crash.
	maxRemovals = 1024
	// retryWait is the pause before removals are tried again after a commit that failed; Puts try each time.
	retryWait = time.Second
	// checkEvery is how often the queue looks after age limits and the file's place when nothing else is on.
	checkEvery = 30 * time.Second
)

// keep does what nobody asks for: it commits removals that found no Put to share a commit with, loss receipts and
// expiries, compacts the file, and shuts the queue. Close waits for it.
func (q *Queue) keep() {
	defer close(q.stopped)
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	nextCheck := time.Now().Add(checkEvery)
	for {
		timer.Reset(q.sleep(nextCheck))
		select {
		case <-q.closing:
			q.turn <- struct{}{} // and nobody has it after that
			q.shut()
			return
		case <-q.kick:
		case <-timer.C:
		}
		due, compact := q.due()
		if now := time.Now(); !now.Before(nextCheck) {
			nextCheck = now.Add(checkEvery)
			due = due || q.headsOverdue(now)
			q.checkPlace()
			q.checkRoom()
		}
		if !due && !compact {
			continue
		}
		q.turn <- struct{}{}
		if due {
			b := new(batch)
			q.gather(b, false)
			q.commit(b)
		}
		if q.Err() == nil {
			q.compact()
		}
		<-q.turn
	}
}

// shut answers those who still wait and closes the file.
func (q *Queue) shut() {
	failed := q.Err() != nil
	q.end(ErrClosed) // nobody joins a group after that
	if b := new(batch); q.gather(b, false) {
		q.commit(b) // which is refused
	}
	q.finish(!failed && q.commitLast() == nil)
}

// nudge makes the keeper look.
func (q *Queue) nudge() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// sleep returns how long nothing is due.
func (q *Queue) sleep(nextCheck time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	next := nextCheck
	if q.err == nil {
		for _, due := range []time.Time{q.removeBy, q.lossBy} {
			if !due.IsZero() && due.Before(next) {
				next = due
			}
		}
	}
	return max(0, time.Until(next))
}

// due reports whether something has waited long enough for a commit that it could share, and whether the file is to be
// compacted.
func (q *Queue) due() (commit, compact bool) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.next != nil && q.next.orphan {
		return true, false
	}
	return q.err == nil && (reached(q.removeBy, now) || reached(q.lossBy, now)), q.wantCompact
}

func reached(due, now time.Time) bool { return !due.IsZero() && !now.Before(due) }

// waitLocked notes that removals or notes have begun to wait, and reports whether the keeper has to know.
// It is called with mu held.
func (q *Queue) waitLocked() (news bool) {
	switch {
	case len(q.removals) == maxRemovals:
		q.removeBy = time.Now()
		return true
	case q.removeBy.IsZero():
		q.removeBy = time.Now().Add(q.cfg.ReleaseWait)
		return true
	}
	return false
}

// checkPlace fails the queue if its file has lost its name.
func (q *Queue) checkPlace() {
	if q.Err() == nil {
		if err := q.store.Load().inPlace(q.cfg.Path); err != nil {
			q.fail(err)
		}
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
