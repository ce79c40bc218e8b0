package queue

import (
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// tables is what it takes to make a message of a record.
type tables struct {
	origins  originList
	refs     map[[16]byte]clockRef
	attempts func(seq uint64) uint32
	epoch    [8]byte
	lanes    [laneSlots]laneState // what lies beyond their tails is not published yet
}

// viewTables returns the tables as of the last commit.
func (q *Queue) viewTables() tables {
	epoch := q.Epoch()
	q.mu.Lock()
	defer q.mu.Unlock()
	t := tables{origins: q.originList, refs: q.refs, epoch: epoch, lanes: q.lanes}
	if len(q.attempts) > 0 {
		t.attempts = q.attemptsOf
	}
	return t
}

func (q *Queue) attemptsOf(seq uint64) uint32 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.attempts[seq]
}

// decode returns the message with all that was learned after it was stored.
func (t tables) decode(seq uint64, rec []byte) (Message, error) {
	m, err := decodeRecord(seq, rec, t.origins.at)
	if err != nil {
		return Message{}, err
	}
	if ref, ok := t.refs[m.Boot]; ok {
		ref.correct(&m)
	}
	if t.attempts != nil {
		m.Attempts += t.attempts(seq)
	}
	if m.ID == (ID{}) {
		m.ID = ID{t.epoch, seq}
	}
	m.Repeat = m.ID.Epoch == t.epoch && m.ID.Seq != seq
	return m, nil
}

// Get returns the message with this sequence. A message that isn't there, or has been released, gives ErrNotFound; one
// whose record is damaged an error that wraps ErrDamaged. History is set if it is on its way as such (SaveFlight).
func (q *Queue) Get(seq uint64) (Message, error) {
	removed := q.removed()
	if _, ok := removed[seq]; ok {
		return Message{}, fmt.Errorf("%w: sequence %d", ErrNotFound, seq)
	}
	var m Message
	err := q.view(func(tx *bbolt.Tx) error {
		key, view := appendKey(nil, seq), q.viewTables()
		for _, l := range Lanes() {
			if v := tx.Bucket(laneBucket(l)).Get(key); v != nil && seq <= view.lanes[l].Tail {
				var err error
				if m, err = view.decode(seq, v); err != nil {
					return fmt.Errorf("%w: sequence %d: %w", ErrDamaged, seq, err)
				}
				return nil
			}
		}
		return fmt.Errorf("%w: sequence %d", ErrNotFound, seq)
	})
	q.mu.Lock()
	m.History = q.flights[seq].history
	q.mu.Unlock()
	return m, err
}

// All yields the messages in the order of delivery. It reads some hundred at a time, so that it holds nothing up however
// long the loop body takes; messages that come or go meanwhile are seen or not. A damaged record yields its sequence in an
// otherwise empty message, with an error that wraps ErrDamaged, and the loop may go on. Other errors end it.
func (q *Queue) All() iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for _, l := range Lanes() {
			for next := uint64(1); next > 0; {
				var batch []Message
				var errs []error
				var err error
				if batch, errs, next, err = q.browse(l, next); err != nil {
					yield(Message{}, err)
					return
				}
				for i := range batch {
					if !yield(batch[i], errs[i]) {
						return
					}
				}
			}
		}
	}
}

// browse reads messages of the lane from the sequence first on; next is where to go on, 0 at the end.
func (q *Queue) browse(l Lane, first uint64) (batch []Message, errs []error, next uint64, err error) {
	removed := q.removed()
	err = q.view(func(tx *bbolt.Tx) error {
		view := q.viewTables()
		size := 0
		c := tx.Bucket(laneBucket(l)).Cursor()
		for k, v := c.Seek(appendKey(nil, first)); k != nil; k, v = c.Next() {
			seq, err := parseKey(k)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			if seq > view.lanes[l].Tail {
				return nil
			}
			if len(batch) >= aheadMessages || size >= aheadBytes {
				next = seq
				return nil
			}
			if _, ok := removed[seq]; ok {
				continue
			}
			m, err := view.decode(seq, v)
			if err != nil {
				m, err = Message{Seq: seq, Lane: l}, fmt.Errorf("%w: sequence %d: %w", ErrDamaged, seq, err)
			}
			batch, errs = append(batch, m), append(errs, err)
			size += len(v)
		}
		return nil
	})
	return batch, errs, next, err
}
