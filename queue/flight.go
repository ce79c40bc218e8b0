package queue

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// Flight is what is on its way under one packet id: published, and not acknowledged to the end. It is one message, or
// several that were gathered into one packet. A message is in one flight at a time.
//
// A flight that is exact outlives the dropping of its messages, since the broker holds its packet id and would swallow the next
// message under it as a repeat. It then goes on under the sequence of one of them, until that is released or ClearFlights is called.
type Flight struct {
	Seq      uint64 // of the first message, which names the flight
	PacketID uint16
	Received bool     // the broker has it (PUBREC, QoS 2) and must not get it a second time
	Exact    bool     // QoS 2: the broker holds the packet id until it is told to free it
	More     []uint64 // the further messages of the packet, rising
}

// flight is a Flight with what it takes to send the same packet again.
type flight struct {
	Flight
	history bool // it was published as history
	orphan  bool // its messages were dropped: only the packet id is left
}

func (f flight) equal(g flight) bool {
	return f.Seq == g.Seq && f.PacketID == g.PacketID && f.Received == g.Received && f.Exact == g.Exact &&
		f.history == g.history && f.orphan == g.orphan && slices.Equal(f.More, g.More)
}

// names reports whether the message is in the flight.
func (f Flight) names(seq uint64) bool { return f.Seq == seq || slices.Contains(f.More, seq) }

// The flags of a flight on disk.
const (
	flightReceived = 1 << iota
	flightHistory
	flightGathered // the further messages follow, each as uvarint above the one before
	flightExact    // files of older programs don't have it: what they note is as exact as its messages are
)

// SaveFlight notes a flight, in place of what was noted for its first message before. With durable it returns when the note is
// on disk; else at once, and the note goes with the next commit or within Config.ReleaseWait. Messages that are not in
// the queue are left out of the note; where none is left, the error is ErrNotFound, unless the flight is exact.
func (q *Queue) SaveFlight(ctx context.Context, f Flight, durable bool) error {
	q.mu.Lock()
	reader := q.reader
	q.mu.Unlock()
	history := reader != nil && reader.isHistory(f.Seq)
	q.mu.Lock()
	err := q.err
	if err == nil {
		if note, ok := q.presentLocked(flight{Flight: f, history: history}); ok {
			old, known := q.flights[note.Seq]
			note.history = history || old.history
			if known && old.equal(note) && !durable {
				q.mu.Unlock()
				return nil
			}
			q.flights[note.Seq] = note
			q.flightDirty[note.Seq] = struct{}{}
		} else {
			err = fmt.Errorf("%w: sequence %d", ErrNotFound, f.Seq)
		}
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

// presentLocked leaves those messages of f that are in the queue, as far as that can be told without the file; ok is false if
// nothing is left of it. It is called with mu held.
func (q *Queue) presentLocked(f flight) (_ flight, ok bool) {
	if f.Seq > q.seq || f.Seq == 0 {
		return f, false
	}
	for _, known := range q.flights {
		if known.orphan && known.PacketID == f.PacketID && f.names(known.Seq) {
			known.Received = known.Received || f.Received
			return known, true
		}
	}
	gone := make(map[uint64]struct{})
	for _, seq := range append([]uint64{f.Seq}, f.More...) {
		if _, removing := q.removing[seq]; removing || seq > q.seq {
			gone[seq] = struct{}{}
		}
	}
	return f.without(gone)
}

// without is the flight after some of its messages have been dropped; ok is false if nothing is left of it.
func (f flight) without(gone map[uint64]struct{}) (_ flight, ok bool) {
	if len(gone) == 0 || f.orphan {
		return f, true
	}
	left := slices.DeleteFunc(append([]uint64{f.Seq}, f.More...), func(seq uint64) bool { _, ok := gone[seq]; return ok })
	if len(left) == 0 {
		f.More, f.orphan = nil, true
		return f, f.Exact
	}
	if f.Seq, f.More = left[0], nil; len(left) > 1 {
		f.More = left[1:]
	}
	return f, true
}

// pruneFlightsLocked takes messages that have gone out of their flights, and returns the keys of the flights that have changed.
// Those of which a message has arrived end with their last one. It is called with mu held.
func (q *Queue) pruneFlightsLocked(seqs []uint64, arrived bool) (changed []uint64) {
	if len(seqs) == 0 || len(q.flights) == 0 {
		return nil
	}
	gone := make(map[uint64]struct{}, len(seqs))
	for _, seq := range seqs {
		gone[seq] = struct{}{}
	}
	for seq, f := range q.flights {
		if _, first := gone[seq]; !first && len(f.More) == 0 {
			continue
		}
		left, ok := f.without(gone)
		if ok = ok && !(arrived && left.orphan); ok && left.equal(f) {
			continue
		}
		delete(q.flights, seq)
		changed = append(changed, seq)
		if ok { // the packet is still under way for the others in it
			q.flights[left.Seq] = left
			changed = append(changed, left.Seq)
		}
	}
	return changed
}

// Flights returns what is on its way, in the order of the sequences.
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

// flying reports whether the message is on its way.
func (q *Queue) flying(seq uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range q.flights {
		if f.names(seq) {
			return true
		}
	}
	return false
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
		seq, err := parseKey(k)
		if f, ok := parseFlight(seq, v); ok && err == nil {
			gone := make(map[uint64]struct{})
			for _, seq := range append([]uint64{f.Seq}, f.More...) {
				rec := stored(tx, appendKey(nil, seq))
				if rec == nil {
					gone[seq] = struct{}{}
				}
				f.Exact = f.Exact || recordQoS(rec) == 2
			}
			if f, ok = f.without(gone); ok {
				flights[f.Seq] = f
			}
		}
		return nil
	})
	return flights
}

// append appends the stored form: the packet id, flags, and the further messages.
func (f flight) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, f.PacketID)
	at := len(b)
	if b = append(b, 0); f.Received {
		b[at] |= flightReceived
	}
	if f.history {
		b[at] |= flightHistory
	}
	if f.Exact {
		b[at] |= flightExact
	}
	last := f.Seq
	for _, seq := range f.More {
		b[at] |= flightGathered
		b = binary.AppendUvarint(b, seq-last)
		last = seq
	}
	return b
}

// parseFlight is the inverse of append.
func parseFlight(seq uint64, b []byte) (f flight, ok bool) {
	if len(b) < 3 || b[2]&flightGathered == 0 && len(b) > 3 {
		return f, false
	}
	f.Seq, f.PacketID, f.history = seq, binary.BigEndian.Uint16(b), b[2]&flightHistory != 0
	f.Received, f.Exact = b[2]&flightReceived != 0, b[2]&flightExact != 0
	c := scanner{b: b[3:]}
	for last := seq; len(c.b) > 0 && !c.bad; last = f.More[len(f.More)-1] {
		f.More = append(f.More, last+c.uvarint())
	}
	return f, !c.bad
}

func loadAttempts(tx *bbolt.Tx) map[uint64]uint32 {
	attempts := make(map[uint64]uint32)
	tx.Bucket(bucketAttempts).ForEach(func(k, v []byte) error {
		n, w := binary.Uvarint(v)
		if seq, err := parseKey(k); err == nil && w == len(v) && stored(tx, k) != nil {
			attempts[seq] = uint32(n)
		}
		return nil
	})
	return attempts
}

// stored is the record that some lane has under the key; nil if none has.
func stored(tx *bbolt.Tx, key []byte) []byte {
	for _, l := range Lanes() {
		if rec := tx.Bucket(laneBucket(l)).Get(key); rec != nil {
			return rec
		}
	}
	return nil
}

// saveFlights writes the changed notes.
func (t *txn) saveFlights() error {
	for seq, f := range t.flights {
		if f == nil {
			if err := t.bucket(bucketFlights).Delete(appendKey(nil, seq)); err != nil {
				return err
			}
		}
	}
	for _, f := range t.flights {
		if f != nil {
			if err := t.saveFlight(*f); err != nil {
				return err
			}
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

// saveFlight writes a note, without those messages that have gone meanwhile.
func (t *txn) saveFlight(f flight) error {
	gone := make(map[uint64]struct{})
	for _, seq := range append([]uint64{f.Seq}, f.More...) {
		if l, _, _ := t.find(seq); l == 0 && !f.orphan {
			gone[seq] = struct{}{}
			t.gone = append(t.gone, seq)
		}
	}
	left, ok := f.without(gone)
	if !ok || left.Seq != f.Seq {
		if err := t.bucket(bucketFlights).Delete(appendKey(nil, f.Seq)); err != nil || !ok {
			return err
		}
	}
	if err := t.raiseFormat(left.format()); err != nil {
		return err
	}
	return t.bucket(bucketFlights).Put(appendKey(nil, left.Seq), left.append(nil))
}

// format is the lowest version of a file that holds the flight.
func (f flight) format() uint64 {
	switch {
	case f.orphan:
		return formatOrphans
	case len(f.More) > 0:
		return formatGathered
	}
	return firstFormat
}

// forget makes this transaction remove the count of a message that it drops. Its flight, which has begun a moment ago or it
// wouldn't be dropped, is seen to when the transaction is published.
func (t *txn) forget(seq uint64) {
	t.gone = append(t.gone, seq)
	t.q.mu.Lock()
	_, tries := t.q.attempts[seq]
	t.q.mu.Unlock()
	if tries || t.attempts[seq] != 0 {
		if t.attempts == nil {
			t.attempts = make(map[uint64]uint32)
		}
		t.attempts[seq] = 0
	}
}

// noteFlights remembers what is on its way, so that it isn't dropped. It is called with the queue's mu held.
func (t *txn) noteFlights() {
	if len(t.q.flights) == 0 {
		return
	}
	t.inFlight = make(map[uint64]struct{}, len(t.q.flights))
	for seq, f := range t.q.flights {
		if f.orphan {
			continue
		}
		t.inFlight[seq] = struct{}{}
		for _, more := range f.More {
			t.inFlight[more] = struct{}{}
		}
	}
}
