package queue

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Export writes all messages to w, in the order of delivery, as JSON lines (Message.MarshalJSON), and returns how many.
// They stay in the queue. Damaged records are left out. After each message that was written, progress is called with
// their number so far, unless it is nil.
func (q *Queue) Export(ctx context.Context, w io.Writer, progress func(done int)) (n int, err error) {
	out := bufio.NewWriter(w)
	for m, err := range q.All() {
		if errors.Is(err, ErrDamaged) && m.Seq != 0 {
			continue
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		line, err := json.Marshal(m)
		if err != nil {
			return n, err
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return n, fmt.Errorf("queue: export: %w", err)
		}
		if n++; progress != nil {
			progress(n)
		}
	}
	if err := out.Flush(); err != nil {
		return n, fmt.Errorf("queue: export: %w", err)
	}
	return n, nil
}

// Imported is what an Import has done.
type Imported struct {
	Lines   int // read
	Stored  int // new in the queue, on disk
	Present int // left out, since the queue holds the message that the line was made of
}

// importBatch is how many messages an Import commits at once, and importBytes how large they may be together.
const (
	importBatch = 256
	importBytes = 256 << 10
)

// Import puts the messages of an export into the queue, behind those that are there, with the IDs and times that they had.
// It stops at the first line that it can't take: those before it are on disk, as Imported tells, and the rest can be
// imported once the cause is gone. After each commit progress is called, unless it is nil.
func (q *Queue) Import(ctx context.Context, r io.Reader, progress func(Imported)) (done Imported, err error) {
	lines := bufio.NewScanner(r)
	// JSON takes six characters for a control character.
	lines.Buffer(nil, 6*(q.cfg.MaxMessage+64<<10))
	var batch []Message
	size := 0
	flush := func() error {
		if _, err := q.Put(ctx, batch...); err != nil {
			return fmt.Errorf("queue: import: the lines from %d on: %w", done.Lines-len(batch)+1, err)
		}
		done.Stored += len(batch)
		batch, size = batch[:0], 0
		if progress != nil {
			progress(done)
		}
		return nil
	}
	for lines.Scan() {
		done.Lines++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var m Message
		if err := json.Unmarshal(line, &m); err != nil {
			return done, errors.Join(fmt.Errorf("queue: import: line %d: %w", done.Lines, err), flush())
		}
		if err := m.validate(q.cfg.MaxMessage); err != nil {
			return done, errors.Join(fmt.Errorf("queue: import: line %d: %w", done.Lines, err), flush())
		}
		if q.holds(m.ID) {
			done.Present++
			continue
		}
		batch = append(batch, m)
		if size += len(m.Payload); len(batch) == importBatch || size > importBytes {
			if err := flush(); err != nil {
				return done, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return done, errors.Join(fmt.Errorf("queue: import: line %d: %w", done.Lines+1, err), flush())
	}
	return done, flush()
}

// holds reports whether the message that was given this ID by this queue is still in it.
func (q *Queue) holds(id ID) bool {
	if id.Epoch != q.Epoch() {
		return false
	}
	_, err := q.Get(id.Seq)
	return err == nil
}

// Purge drops the messages for which match returns true, and returns how many and how large they are; they are counted
// and reported as ReasonPurged. With dryRun it only counts. It returns when the removal is on disk.
func (q *Queue) Purge(ctx context.Context, match func(Message) bool, dryRun bool) (n int, size int64, err error) {
	var seqs []uint64
	for m, err := range q.All() {
		if err != nil && !(errors.Is(err, ErrDamaged) && m.Seq != 0) {
			return n, size, err
		}
		if err := ctx.Err(); err != nil {
			return n, size, err
		}
		if !match(m) {
			continue
		}
		n++
		size += int64(len(m.Payload))
		if dryRun {
			continue
		}
		if seqs = append(seqs, m.Seq); len(seqs) == maxRemovals {
			if err := q.purge(ctx, seqs); err != nil {
				return n, size, err
			}
			seqs = seqs[:0]
		}
	}
	return n, size, q.purge(ctx, seqs)
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
