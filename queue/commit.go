package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxBatch bounds one commit: beyond it the gain per message is below a hundredth of a commit's cost.
	maxBatch = 1024
	// maxRemovals waiting make a commit due before ReleaseWait, which bounds their memory and the repeats after a crash.
	maxRemovals = 1024
	// maxWriteErrors in a row end the process: the first may be a passing trouble, of the bus for instance.
	maxWriteErrors = 3
	// retryWait is the pause before removals are tried again after a commit that failed; Puts try each time.
	retryWait = time.Second
	// checkEvery is how often the queue looks after age limits, the file's place and compaction when nothing else is on.
	checkEvery = 30 * time.Second
)

// run makes all commits. Close and fail end it.
func (q *Queue) run() {
	defer close(q.stopped)
	debug.SetPanicOnFault(true) // a truncated file faults in the map; see commit's recover
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	for {
		timer.Reset(q.nextDue())
		batch, closing := q.gather(timer.C)
		if closing {
			q.end(ErrClosed) // no Put is sent from here on
			batch = q.drainRequests(batch)
			for _, r := range batch {
				r.reply <- result{err: ErrClosed}
			}
			q.finish(q.Err() == ErrClosed && q.commitLast() == nil)
			return
		}
		if len(batch) > 0 || q.removalsDue() || q.lossesDue() || q.expiryDue() {
			q.commit(batch)
		} else {
			q.lookAfter()
		}
		if q.Err() == nil {
			q.compact()
		}
		if err := q.Err(); err != nil {
			for _, r := range q.drainRequests(nil) {
				r.reply <- result{err: err}
			}
			<-q.closing // readers go on with what is on disk
			q.finish(false)
			return
		}
	}
}

// gather waits until something is to be done and returns the requests that share the next commit.
func (q *Queue) gather(due <-chan time.Time) (batch []*request, closing bool) {
	var first *request
	select {
	case <-q.closing:
		return nil, true
	case first = <-q.requests:
	case <-q.kick:
	case <-due:
	}
	if first == nil || !first.state.CompareAndSwap(requestPending, requestTaken) {
		return nil, false
	}
	batch = append(batch, first)
	if q.cfg.CommitWait > 0 && first.job == nil {
		return q.gatherFor(batch, q.cfg.CommitWait), false
	}
	// Producers whose last commit has just been acknowledged need a moment to come back: as long as some do, yield to
	// the others. A lone producer pays one empty yield.
	for before := 0; before < len(batch) && len(batch) < maxBatch; {
		before = len(batch)
		batch = q.drainRequests(batch)
		if len(batch) > 1 || before == 1 {
			runtime.Gosched()
			batch = q.drainRequests(batch)
		}
	}
	return batch, false
}

// gatherFor takes requests for as long as wait.
func (q *Queue) gatherFor(batch []*request, wait time.Duration) []*request {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for len(batch) < maxBatch {
		select {
		case r := <-q.requests:
			if r.state.CompareAndSwap(requestPending, requestTaken) {
				batch = append(batch, r)
				if r.job != nil { // Sync and durable notes don't wait
					return q.drainRequests(batch)
				}
			}
		case <-timer.C:
			return batch
		case <-q.closing:
			return batch
		}
	}
	return batch
}

// drainRequests takes the requests that are there.
func (q *Queue) drainRequests(batch []*request) []*request {
	for len(batch) < maxBatch {
		select {
		case r := <-q.requests:
			if r.state.CompareAndSwap(requestPending, requestTaken) {
				batch = append(batch, r)
			}
		default:
			return batch
		}
	}
	return batch
}

// commit brings the batch and what waits beside it to disk, and answers.
func (q *Queue) commit(batch []*request) {
	err := q.tryCommit(batch, false)
	if errors.Is(err, ErrDiskFull) && len(batch) > 0 {
		// Without the messages, removals fit into what is reserved.
		for _, r := range batch {
			if r.job == nil {
				r.err = ErrDiskFull
			}
		}
		err = q.tryCommit(batch, true)
	}
	q.notBefore = time.Time{}
	if err != nil {
		q.notBefore = time.Now().Add(retryWait)
	}
	if err != nil && !passes(err) {
		q.fail(err)
		err = q.Err()
	}
	for _, r := range batch {
		switch {
		case r.err != nil:
			r.reply <- result{err: r.err}
		case err != nil:
			r.reply <- result{err: err}
		default:
			r.reply <- result{first: r.first}
		}
	}
}

// tryCommit makes one transaction. If it fails, nothing has changed.
func (q *Queue) tryCommit(batch []*request, full bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			q.panicked = true
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	s := q.store.Load()
	t := q.newTxn(full)
	if err := q.makeReady(t.estimate(batch)); err != nil {
		if err = storageError(err); !full || !errors.Is(err, ErrDiskFull) {
			q.countWriteError(err)
			q.putBack(t)
			return q.escalate(err)
		}
	}
	if t.tx, err = s.db.Begin(true); err != nil {
		q.putBack(t)
		return fmt.Errorf("begin: %w", err)
	}
	if err := t.apply(batch); err != nil {
		t.tx.Rollback()
		q.putBack(t)
		return err
	}
	if err := t.tx.Commit(); err != nil {
		q.putBack(t)
		err = storageError(err)
		q.countWriteError(err)
		return q.escalate(err)
	}
	q.writeErrors = 0
	q.measure()
	if err := s.inPlace(q.cfg.Path); err != nil {
		return err
	}
	q.removeBy = time.Time{}
	if reached(q.lossBy, t.now) {
		q.lossBy = time.Time{} // what found no room has to wait again
	}
	q.publish(t)
	return nil
}

// errWrite is a failed write that may be tried again: what it was to write is not on disk.
var errWrite = errors.New("queue: write failed")

// storageError tells the errors that pass from those that don't. A flush that failed is of the latter kind: the kernel
// may have dropped the pages, and a second flush would lie.
func storageError(err error) error {
	var path *fs.PathError
	isWrite := errors.As(err, &path) && path.Op != "sync"
	switch {
	case isWrite && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)):
		return fmt.Errorf("%w (%v)", ErrDiskFull, err)
	case isWrite && errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w (%v)", ErrReadOnly, err)
	case isWrite:
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return fmt.Errorf("%w: flush: %w", ErrFailed, err)
}

// passes reports whether the next commit may succeed.
func passes(err error) bool {
	return !errors.Is(err, ErrFailed) && (errors.Is(err, ErrDiskFull) || errors.Is(err, ErrReadOnly) || errors.Is(err, errWrite))
}

func (q *Queue) countWriteError(err error) {
	if errors.Is(err, errWrite) {
		q.writeErrors++
	}
}

// escalate makes a write error final after too many in a row.
func (q *Queue) escalate(err error) error {
	if errors.Is(err, errWrite) && q.writeErrors >= maxWriteErrors {
		return fmt.Errorf("%w: %d times in a row: %w", ErrFailed, q.writeErrors, err)
	}
	return err
}

// publish makes a commit known to the rest of the queue.
func (q *Queue) publish(t *txn) {
	q.origins.unsync = q.origins.unsync[:0]
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes, q.seq = t.lanes, t.seq
	q.originList = q.origins.list
	q.losses = t.losses
	if t.refs != nil {
		q.refs = t.refs
	}
	for _, r := range t.removals {
		delete(q.removing, r.seq)
	}
	for _, seq := range t.gone {
		delete(q.flights, seq)
		delete(q.attempts, seq)
	}
	q.commits++
	q.accepted += t.accepted
	q.released += t.released
	if t.cut {
		q.cuts++
	}
	if q.wake != nil && (t.accepted > 0 || t.cut) {
		close(q.wake)
		q.wake = nil
	}
}
