package queue

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// Flight is a message on its way: published under a packet id and not acknowledged to the end.
type Flight struct {
	Seq      uint64
	PacketID uint16
	Received bool // the broker has it (PUBREC, QoS 2) and must not get it a second time
}

// flight is a Flight with what it takes to send the same packet again.
type flight struct {
	Flight
	history bool // it was published as history
}

// The flags of a flight on disk.
const (
	flightReceived = 1 << iota
	flightHistory
)

// SaveFlight notes a flight, in place of what was noted for the message before. With durable it returns when the note is
// on disk; else at once, and the note goes with the next commit or within Config.ReleaseWait. A message that is not in
// the queue gives ErrNotFound.
func (q *Queue) SaveFlight(ctx context.Context, f Flight, durable bool) error {
	q.mu.Lock()
	reader := q.reader
	q.mu.Unlock()
	history := reader != nil && reader.isHistory(f.Seq)
	q.mu.Lock()
	err := q.err
	if _, gone := q.removing[f.Seq]; err == nil && (gone || f.Seq > q.seq || f.Seq == 0) {
		err = fmt.Errorf("%w: sequence %d", ErrNotFound, f.Seq)
	}
	if err == nil {
		history = history || q.flights[f.Seq].history
		if q.flights[f.Seq] == (flight{f, history}) && !durable {
			q.mu.Unlock()
			return nil
		}
		q.flights[f.Seq] = flight{f, history}
		q.flightDirty[f.Seq] = struct{}{}
	}
	news := err == nil && q.waitLocked()
	q.mu.Unlock()
	if news {
		q.nudge()
	}
	if err != nil || !durable {
		return err
	}
	return q.Sync(ctx)
}

// Flights returns the messages on their way, in the order of their sequences.
func (q *Queue) Flights() ([]Flight, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]Flight, 0, len(q.flights))
	for _, f := range q.flights {
		list = append(list, f.Flight)
	}
	slices.SortFunc(list, func(a, b Flight) int { return cmp.Compare(a.Seq, b.Seq) })
	return list, nil
}

// ClearFlights forgets all flights, since the broker has forgotten the session. It returns when that is on disk.
func (q *Queue) ClearFlights(ctx context.Context) error {
	q.mu.Lock()
	for seq := range q.flights {
		delete(q.flights, seq)
		q.flightDirty[seq] = struct{}{}
	}
	q.mu.Unlock()
	return q.Sync(ctx)
}

// AddAttempts counts a delivery in vain for each of the messages, which Message.Attempts then shows. It goes to disk with
// the next commit or within Config.ReleaseWait.
func (q *Queue) AddAttempts(seqs ...uint64) error {
	q.mu.Lock()
	err := q.err
	if err == nil {
		for _, seq := range seqs {
			if _, gone := q.removing[seq]; !gone && seq <= q.seq && seq > 0 {
				q.attempts[seq]++
				q.triesDirty[seq] = struct{}{}
			}
		}
	}
	news := err == nil && q.waitLocked()
	q.mu.Unlock()
	if news {
		q.nudge()
	}
	return err
}

func loadFlights(tx *bbolt.Tx) map[uint64]flight {
	flights := make(map[uint64]flight)
	tx.Bucket(bucketFlights).ForEach(func(k, v []byte) error {
		if seq, err := parseKey(k); err == nil && len(v) == 3 && stored(tx, k) {
			f := Flight{Seq: seq, PacketID: binary.BigEndian.Uint16(v), Received: v[2]&flightReceived != 0}
			flights[seq] = flight{f, v[2]&flightHistory != 0}
		}
		return nil
	})
	return flights
}

func loadAttempts(tx *bbolt.Tx) map[uint64]uint32 {
	attempts := make(map[uint64]uint32)
	tx.Bucket(bucketAttempts).ForEach(func(k, v []byte) error {
		n, w := binary.Uvarint(v)
		if seq, err := parseKey(k); err == nil && w == len(v) && stored(tx, k) {
			attempts[seq] = uint32(n)
		}
		return nil
	})
	return attempts
}

// stored reports whether some lane has a message under the key.
func stored(tx *bbolt.Tx, key []byte) bool {
	for _, l := range Lanes() {
		if tx.Bucket(laneBucket(l)).Get(key) != nil {
			return true
		}
	}
	return false
}

// saveFlights writes the changed notes.
func (t *txn) saveFlights() error {
	for seq, f := range t.flights {
		b, key := t.bucket(bucketFlights), appendKey(nil, seq)
		if l, _, _ := t.find(seq); f != nil && l == 0 {
			f = nil // the message has gone meanwhile
			t.gone = append(t.gone, seq)
		}
		if f == nil {
			if err := b.Delete(key); err != nil {
				return err
			}
			continue
		}
		v := binary.BigEndian.AppendUint16(nil, f.PacketID)
		if v = append(v, 0); f.Received {
			v[2] |= flightReceived
		}
		if f.history {
			v[2] |= flightHistory
		}
		if err := b.Put(key, v); err != nil {
			return err
		}
	}
	for seq, n := range t.attempts {
		b, key := t.bucket(bucketAttempts), appendKey(nil, seq)
		if n == 0 {
			if err := b.Delete(key); err != nil {
				return err
			}
		} else if err := b.Put(key, uvarint(uint64(n))); err != nil {
			return err
		}
	}
	return nil
}

// forget makes this transaction remove the notes about a message that it drops.
func (t *txn) forget(seq uint64) {
	t.gone = append(t.gone, seq)
	t.q.mu.Lock()
	_, flying := t.q.flights[seq]
	_, tries := t.q.attempts[seq]
	t.q.mu.Unlock()
	if flying || t.flights[seq] != nil {
		if t.flights == nil {
			t.flights = make(map[uint64]*flight)
		}
		t.flights[seq] = nil
	}
	if tries || t.attempts[seq] != 0 {
		if t.attempts == nil {
			t.attempts = make(map[uint64]uint32)
		}
		t.attempts[seq] = 0
	}
}
