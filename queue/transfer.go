package queue

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Exported is what an Export has done.
type Exported struct {
	Messages int `json:"messages"` // written
	Damaged  int `json:"damaged"`  // left out, since their record fails its checksum
}

// Export writes all messages to w, in the order of delivery, as JSON lines (Message.MarshalJSON). They stay in the queue.
// After each message that was written, progress is called, unless it is nil.
func (q *Queue) Export(ctx context.Context, w io.Writer, progress func(Exported)) (done Exported, err error) {
	out := bufio.NewWriter(w)
	for m, err := range q.All() {
		if errors.Is(err, ErrDamaged) && m.Seq != 0 {
			done.Damaged++
			continue
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return done, err
		}
		line, err := json.Marshal(m)
		if err != nil {
			return done, err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return done, fmt.Errorf("queue: export: %w", err)
		}
		if done.Messages++; progress != nil {
			progress(done)
		}
	}
	if err := out.Flush(); err != nil {
		return done, fmt.Errorf("queue: export: %w", err)
	}
	return done, nil
}

// Purged is what a Purge has dropped, or would drop.
type Purged struct {
	Messages     int    `json:"messages"`
	PayloadBytes int64  `json:"payload_bytes"`
	Last         uint64 `json:"last_seq"` // the highest of their sequences; 0 if there are none
}

// Purge drops the messages that match selects; they are counted and reported as ReasonPurged. With dryRun it only counts.
// It returns when the removal is on disk. Each time that some are, progress is called, unless it is nil.
func (q *Queue) Purge(ctx context.Context, match func(Message) bool, dryRun bool, progress func(Purged)) (done Purged, err error) {
	var seqs []uint64
	next := done
	for m, err := range q.All() {
		if err != nil && !(errors.Is(err, ErrDamaged) && m.Seq != 0) {
			return done, err
		}
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if !match(m) {
			continue
		}
		next.Messages++
		next.PayloadBytes += int64(len(m.Payload))
		next.Last = max(next.Last, m.Seq)
		if dryRun {
			continue
		}
		if seqs = append(seqs, m.Seq); len(seqs) == maxRemovals {
			if err := q.purge(ctx, seqs); err != nil {
				return done, err
			}
			seqs, done = seqs[:0], next
			if progress != nil {
				progress(done)
			}
		}
	}
	if err := q.purge(ctx, seqs); err != nil {
		return done, err
	}
	return next, nil
}

func (q *Queue) purge(ctx context.Context, seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	if err := q.Drop(ReasonPurged, seqs...); err != nil {
		return err
	}
	return q.Sync(ctx)
}
