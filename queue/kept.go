package queue

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// bucketKept is made by the first release with Config.KeepReleased: key → a zero byte and the record, which no salvage
// takes for a message that waits. The bucket's sequence is what the entries take up, as cost reckons it.
var bucketKept = []byte("kept")

// keptState is what is known of the released messages that are kept, without reading them.
type keptState struct {
	bytes       int64
	first, last uint64 // sequences; 0 if none is kept
}

func loadKept(tx *bbolt.Tx) keptState {
	b := tx.Bucket(bucketKept)
	if b == nil {
		return keptState{}
	}
	return keptState{int64(b.Sequence()), seqOf(b.Cursor().First()), seqOf(b.Cursor().Last())}
}

// seqOf returns the sequence of what a cursor has found; 0 if that was nothing.
func seqOf(k, _ []byte) uint64 {
	seq, _ := parseKey(k)
	return seq
}

// dropKept removes what a former configuration has kept. Where that fails, a later Open tries again.
func (q *Queue) dropKept() {
	if q.cfg.KeepReleased > 0 || q.kept == (keptState{}) {
		return
	}
	err := q.store.Load().db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketKept) })
	if err == nil {
		q.kept = keptState{}
	}
}

// keep notes a released record for a Resend. On a full disk it isn't kept: removing it has to work there.
func (t *txn) keep(seq uint64, rec []byte) error {
	if t.q.cfg.KeepReleased == 0 || t.full || isRepeat(seq, rec, t.q.Epoch()) {
		return nil
	}
	b, err := t.tx.CreateBucketIfNotExists(bucketKept)
	if err != nil {
		return err
	}
	b.FillPercent = 1 // sequences mostly grow
	t.q.room(1 + len(rec))
	start := len(t.q.arena)
	t.q.arena = append(append(t.q.arena, 0), rec...)
	key, v := appendKey(nil, seq), t.q.arena[start:len(t.q.arena):len(t.q.arena)]
	t.kept.bytes += cost(key, v)
	return b.Put(key, v)
}

// trimKept drops the lowest sequences beyond the bound.
func (t *txn) trimKept() error {
	if t.kept.bytes == t.q.kept.bytes {
		return nil
	}
	b := t.tx.Bucket(bucketKept)
	c := b.Cursor()
	for t.kept.bytes > t.q.cfg.KeepReleased {
		k, v := c.First()
		if k == nil {
			t.kept.bytes = 0
			break
		}
		t.kept.bytes -= cost(k, v)
		if err := c.Delete(); err != nil {
			return err
		}
	}
	t.kept.first, t.kept.last = seqOf(c.First()), seqOf(c.Last())
	return b.SetSequence(uint64(t.kept.bytes))
}

// isRepeat reports whether the record is of a message that a Resend has put in.
func isRepeat(seq uint64, rec []byte, epoch [8]byte) bool {
	if rec[1]&flagExtras == 0 {
		return false
	}
	m, err := decodeRecord(seq, rec, originList(nil).at)
	return err == nil && m.ID.Epoch == epoch && m.ID.Seq != seq
}

// Resend puts released messages with sequences between from and to, both included, into the bulk lane once more, as far as
// Config.KeepReleased has kept them: under the IDs that they had, so that a receiver drops those which it has, with
// Message.Repeat set, not retained, and without an expiry. It returns how many those are when they are on disk; a message
// that is still waiting, itself or as a repeat, is not put in again.
//
// Missing is how many messages of the range can't be had: no longer kept, or dropped. Like an Import it drops nothing for
// them: at MaxBytes it fails with ErrFull, and n of them are in.
func (q *Queue) Resend(ctx context.Context, from, to uint64) (n, missing int, err error) {
	if from == 0 || from > to {
		return 0, 0, fmt.Errorf("%w: the range %d to %d: sequences rise, and begin with 1", ErrInvalid, from, to)
	}
	select {
	case q.importing <- struct{}{}:
		defer func() { <-q.importing }()
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if err := q.Sync(ctx); err != nil { // what was released a moment ago is kept from then on
		return 0, 0, err
	}
	known, err := q.foreign(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("queue: resend: %w", err)
	}
	q.mu.Lock()
	to = min(to, q.seq)
	q.mu.Unlock()
	if from > to {
		return 0, 0, nil
	}
	held, err := q.heldRange(from, to)
	if err != nil {
		return 0, 0, err
	}
	missing = int(to-from) + 1 - len(held)
	for next := from; next > 0; {
		var kept []Message
		if kept, next, err = q.browseKept(next, to); err != nil {
			return n, missing, err
		}
		var batch []Message
		for _, m := range kept {
			if _, ok := held[m.Seq]; ok {
				continue
			}
			if !known.add(m.ID) {
				missing--
				continue
			}
			m.Lane, m.Retain, m.Attempts, m.Expires = Bulk, false, 0, time.Time{}
			batch = append(batch, m)
		}
		if len(batch) == 0 {
			continue
		}
		if err := q.send(ctx, &request{msgs: batch, keep: true}); err != nil {
			return n, missing, fmt.Errorf("queue: resend: after %d messages: %w", n, err)
		}
		n, missing = n+len(batch), missing-len(batch)
	}
	return n, missing, nil
}

// browseKept reads kept messages from the sequence from on; next is where to go on, 0 at the end. Damaged ones are left
// out.
func (q *Queue) browseKept(from, to uint64) (batch []Message, next uint64, err error) {
	err = q.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketKept)
		if b == nil {
			return nil
		}
		view, size := q.viewTables(), 0
		c := b.Cursor()
		for k, v := c.Seek(appendKey(nil, from)); k != nil; k, v = c.Next() {
			seq, err := parseKey(k)
			if err != nil || len(v) == 0 {
				return fmt.Errorf("%w: the messages that are kept", ErrDamaged)
			}
			if seq > to {
				return nil
			}
			if len(batch) >= importBatch || size >= importBytes {
				next = seq
				return nil
			}
			if m, err := view.decode(seq, v[1:]); err == nil {
				batch = append(batch, m)
				size += len(v)
			}
		}
		return nil
	})
	return batch, next, err
}

// heldRange returns the sequences of the range that are in the file's lanes, released a moment ago or not: those are neither
// missing nor to be put in again, even if their release is carried out meanwhile.
func (q *Queue) heldRange(from, to uint64) (map[uint64]struct{}, error) {
	held := make(map[uint64]struct{})
	err := q.view(func(tx *bbolt.Tx) error {
		for _, l := range Lanes() {
			c := tx.Bucket(laneBucket(l)).Cursor()
			for k, _ := c.Seek(appendKey(nil, from)); k != nil; k, _ = c.Next() {
				seq, err := parseKey(k)
				if err != nil {
					return fmt.Errorf("%w: %w", ErrDamaged, err)
				}
				if seq > to {
					break
				}
				held[seq] = struct{}{}
			}
		}
		return nil
	})
	return held, err
}
