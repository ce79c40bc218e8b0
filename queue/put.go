package queue

import (
	"context"
	"errors"
	"fmt"
)

// Put stores all of the messages or none, and returns when they are on disk; first is the sequence of the first one, and
// the others follow it. The messages and their payloads are not changed, and not kept after Put returns.
//
// It fails with ErrInvalid or a TooLargeError if a message can never be stored; with ErrFull, ErrDiskFull or ErrReadOnly
// if it can't be now; with ErrClosed, or an error that wraps ErrFailed, if it never will be by this Queue. If ctx ends
// while Put waits for its turn, its error is returned and nothing is stored; from then on Put waits for the disk.
func (q *Queue) Put(ctx context.Context, msgs ...Message) (first uint64, err error) {
	if len(msgs) == 0 {
		return 0, nil
	}
	r := q.spare.Get().(*request)
	r.msgs = append(r.msgs, msgs...) // a copy, so that the caller's needn't be on the heap
	if first, err = q.put(ctx, r); err != nil {
		return 0, err // and r may still be in a group
	}
	clear(r.msgs)
	*r = request{msgs: r.msgs[:0]}
	q.spare.Put(r)
	return first, nil
}

// put checks the messages of r and waits for its commit.
func (q *Queue) put(ctx context.Context, r *request) (first uint64, err error) {
	var size int64
	msgs := r.msgs
	for i := range msgs {
		if err := msgs[i].validate(q.cfg.MaxMessage); err != nil {
			if len(msgs) > 1 {
				err = fmt.Errorf("queue: message %d of %d: %w", i+1, len(msgs), err)
			}
			return 0, err
		}
		size += int64(len(msgs[i].Topic)) + int64(len(msgs[i].Payload)) + recordOverhead
	}
	if size > q.cfg.MaxBytes/2 {
		return 0, &TooLargeError{Size: int(size), Max: int(q.cfg.MaxBytes / 2)}
	}
	if err := q.send(ctx, r); err != nil {
		return 0, err
	}
	return r.first, nil
}

// recordOverhead is the usual cost of a record beside its topic and payload.
const recordOverhead = 40

// isRefusal tells an error that concerns one Put from one that concerns the whole commit.
func isRefusal(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, ErrDiskFull) }

// Release removes messages that have arrived. It doesn't wait: the removal is durable with the next commit, or within
// Config.ReleaseWait (Sync waits for it), and Readers no longer hand the messages out. Sequences that are not in the queue
// are ignored. Release of a message also takes it out of its flight, and ends what is left of one whose messages were dropped;
// of one that gathers several, release all at once.
func (q *Queue) Release(seqs ...uint64) error { return q.remove("", seqs) }

// Drop removes messages that can't be delivered, counts them under the reason and reports them in a loss receipt.
// It is otherwise like Release.
func (q *Queue) Drop(reason Reason, seqs ...uint64) error {
	if reason == "" || len(reason) > 32 {
		return fmt.Errorf("queue: %q is no reason for a loss; use one word", reason)
	}
	return q.remove(reason, seqs)
}

func (q *Queue) remove(reason Reason, seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	q.mu.Lock()
	err, news := q.err, false
	if err == nil {
		for _, seq := range seqs {
			if _, ok := q.removing[seq]; !ok && seq <= q.seq {
				q.removing[seq] = struct{}{}
				q.removals = append(q.removals, removal{seq, reason})
				if q.reader != nil && q.reader.holds(seq) {
					q.cuts++
				}
				news = q.waitLocked() || news
			}
		}
		q.forgetLocked(seqs, reason == "")
	}
	q.mu.Unlock()
	if news {
		q.nudge()
	}
	return err
}

// forgetLocked drops what was noted about messages. It is called with mu held.
func (q *Queue) forgetLocked(seqs []uint64, arrived bool) {
	for _, seq := range q.pruneFlightsLocked(seqs, arrived) {
		q.flightDirty[seq] = struct{}{}
	}
	for _, seq := range seqs {
		if _, ok := q.attempts[seq]; ok {
			delete(q.attempts, seq)
			q.triesDirty[seq] = struct{}{}
		}
	}
}
