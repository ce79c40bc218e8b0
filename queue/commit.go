package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxWriteErrors in a row end the process: the first may be a passing trouble, of the bus for instance.
const maxWriteErrors = 3

// commit brings the batch and what waits beside it to disk, and answers. The caller has the turn.
func (q *Queue) commit(b *batch) {
	err := q.Err()
	if err == nil {
		err = q.tryCommit(b, false)
	}
	if errors.Is(err, ErrDiskFull) && len(b.requests) > 0 {
		// Without the messages, removals fit into what is reserved.
		for _, r := range b.requests {
			if len(r.msgs) > 0 {
				r.err = ErrDiskFull
				q.refuse(ErrDiskFull)
			}
		}
		err = q.tryCommit(b, true)
	}
	if errors.Is(err, ErrReadOnly) {
		q.refuse(ErrReadOnly)
	}
	if err != nil && !passes(err) {
		q.fail(err)
		err = q.Err()
	}
	for _, r := range b.requests {
		if r.err == nil {
			r.err = err
		}
	}
	q.answer(b)
}

// tryCommit makes one transaction. If it fails, nothing has changed.
func (q *Queue) tryCommit(b *batch, full bool) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a truncated file faults in the map
	defer func() {
		if r := recover(); r != nil {
			q.panicked = true
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	s := q.store.Load()
	t := q.newTxn(full)
	if t.idle(b.requests) {
		return nil
	}
	records, pages := t.estimate(b.requests)
	if err := q.makeReady(records, pages); err != nil {
		if !full {
			q.needed[0], q.needed[1] = records, pages
		}
		if err = q.writeFailed(err); !full || !errors.Is(err, ErrDiskFull) {
			q.putBack(t)
			return err
		}
	}
	if t.tx, err = s.db.Begin(true); err != nil {
		q.putBack(t)
		return fmt.Errorf("begin: %w", err)
	}
	if err := t.apply(b); err != nil {
		t.tx.Rollback()
		q.putBack(t)
		return err
	}
	if err := t.tx.Commit(); err != nil {
		q.putBack(t)
		return q.writeFailed(err)
	}
	q.writeErrors = 0
	q.measure()
	s.committed(q.fileSize)
	if err := s.inPlace(q.cfg.Path); err != nil {
		return err
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
	isWrite := errors.As(err, &path) && path.Op != "sync" ||
		strings.HasPrefix(err.Error(), "file resize error") // bbolt's own growing, which wraps nothing
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

// writeFailed classifies what the file system has answered, and makes a write error final after too many in a row.
func (q *Queue) writeFailed(err error) error {
	err = storageError(err)
	if !errors.Is(err, errWrite) {
		return err
	}
	if q.writeErrors++; q.writeErrors >= maxWriteErrors {
		return fmt.Errorf("%w: %d times in a row: %w", ErrFailed, q.writeErrors, err)
	}
	return err
}

// publish makes a commit known to the rest of the queue.
func (q *Queue) publish(t *txn) {
	q.origins.unsync = q.origins.unsync[:0]
	q.mu.Lock()
	q.lanes, q.seq, q.kept = t.lanes, t.seq, t.kept
	q.originList = q.origins.list
	q.losses = t.losses
	if t.refs != nil {
		q.refs = t.refs
	}
	for _, r := range t.removals {
		delete(q.removing, r.seq)
	}
	news := false
	for _, seq := range q.pruneFlightsLocked(t.gone, false) {
		q.flightDirty[seq] = struct{}{}
		news = q.waitLocked() || news
	}
	for _, seq := range t.gone {
		delete(q.attempts, seq)
	}
	q.commits++
	q.accepted += t.accepted
	if t.accepted > 0 {
		q.refusing = nil
	}
	q.released += t.released
	if t.cut {
		q.cuts++
	}
	news = q.lossesLocked(t.now) || news
	if q.wantCompact = q.compactable(); q.wantCompact {
		news = true
	}
	var wake chan struct{}
	if t.accepted > 0 || t.cut {
		wake, q.wake = q.wake, nil
	}
	q.mu.Unlock()
	if wake != nil {
		close(wake)
	}
	if news {
		q.nudge()
	}
}

// lossesLocked sets when open losses are due, and reports whether the keeper has to know. It is called with mu held.
func (q *Queue) lossesLocked(now time.Time) (news bool) {
	if !q.losses.open() {
		q.lossBy = time.Time{}
		return false
	}
	if q.lossBy.IsZero() || reached(q.lossBy, now) { // new, or it found no room and has to wait again
		q.lossBy = now.Add(q.cfg.LossWait)
		return true
	}
	return false
}
