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

// Imported is what an Import has done.
type Imported struct {
	Lines   int `json:"lines"`   // read
	Stored  int `json:"stored"`  // new in the queue, on disk
	Present int `json:"present"` // left out, since the queue holds a message with the same ID
}

// importBatch is how many messages an Import commits at once, and importBytes how large they may be together.
const (
	importBatch = 256
	importBytes = 256 << 10
)

// Import puts the messages of an export into the queue, behind those that are there, with the IDs and times that they had.
// A message whose ID is there already is left out. Nothing is dropped for them, whatever Config.Full says: at MaxBytes
// Import fails with ErrFull.
//
// It stops at the first line that it can't take: those before it are on disk, as Imported tells, and the whole can be
// imported again once the cause is gone. A line that never can be taken gives an error that wraps ErrInvalid or is a
// TooLargeError. After each commit progress is called, unless it is nil. Imports run one after the other.
func (q *Queue) Import(ctx context.Context, r io.Reader, progress func(Imported)) (Imported, error) {
	select {
	case q.importing <- struct{}{}:
		defer func() { <-q.importing }()
	case <-ctx.Done():
		return Imported{}, ctx.Err()
	}
	known, err := q.foreign(ctx)
	if err != nil {
		return Imported{}, fmt.Errorf("queue: import: %w", err)
	}
	i := &importer{q: q, known: known, progress: progress}
	lines := bufio.NewScanner(r)
	// JSON takes six characters for a control character.
	lines.Buffer(nil, 6*(q.cfg.MaxMessage+64<<10))
	for lines.Scan() {
		i.done.Lines++
		if err := i.take(ctx, lines.Bytes()); err != nil {
			return i.done, err
		}
	}
	if err := lines.Err(); err != nil {
		return i.done, errors.Join(fmt.Errorf("queue: import: line %d: %w", i.done.Lines+1, err), i.flush(ctx))
	}
	return i.done, i.flush(ctx)
}

// importer is an Import under way.
type importer struct {
	q        *Queue
	known    idSet
	progress func(Imported)
	done     Imported
	batch    []Message
	size     int
}

// take adds the message of a line to the batch. If it can't, the lines before it go to disk.
func (i *importer) take(ctx context.Context, line []byte) error {
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return nil
	}
	var m Message
	err := json.Unmarshal(line, &m)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	} else {
		err = m.validate(i.q.cfg.MaxMessage)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("queue: import: line %d: %w", i.done.Lines, err), i.flush(ctx))
	}
	if i.q.holds(m.ID) || !i.known.add(m.ID) {
		i.done.Present++
		return nil
	}
	i.batch = append(i.batch, m)
	if i.size += len(m.Payload); len(i.batch) == importBatch || i.size > importBytes {
		return i.flush(ctx)
	}
	return nil
}

func (i *importer) flush(ctx context.Context) error {
	if len(i.batch) == 0 {
		return nil
	}
	if err := i.q.send(ctx, &request{msgs: i.batch, keep: true}); err != nil {
		return fmt.Errorf("queue: import: after %d messages: %w", i.done.Stored, err)
	}
	i.done.Stored += len(i.batch)
	i.batch, i.size = i.batch[:0], 0
	if i.progress != nil {
		i.progress(i.done)
	}
	return nil
}

// holds reports whether the message that was given this ID by this queue is still in it.
func (q *Queue) holds(id ID) bool {
	if id.Epoch != q.Epoch() {
		return false
	}
	m, err := q.Get(id.Seq)
	return err == nil && m.ID == id
}

// foreign returns the IDs that messages have brought along from another queue, or from a former file of this one.
func (q *Queue) foreign(ctx context.Context) (idSet, error) {
	set := idSet{}
	epoch := q.Epoch()
	for m, err := range q.All() {
		if errors.Is(err, ErrDamaged) && m.Seq != 0 {
			continue
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if m.ID != (ID{epoch, m.Seq}) {
			set.add(m.ID)
		}
	}
	return set, nil
}

// idSet is a set of IDs. They come in long runs of sequences, so a bit for each of 64 neighbours keeps a million in less
// than a megabyte.
type idSet map[ID]uint64

// add puts id into the set, and reports whether it is new there.
func (s idSet) add(id ID) bool {
	block, bit := ID{id.Epoch, id.Seq / 64}, uint64(1)<<(id.Seq%64)
	if s[block]&bit != 0 {
		return false
	}
	s[block] |= bit
	return true
}
