package queue

import (
	"encoding/binary"
	"maps"
	"time"

	"go.etcd.io/bbolt"
)

// txn is a write transaction with the changes that it makes to what is kept in memory. They take effect in publish,
// after the commit. It belongs to whoever has the turn.
type txn struct {
	q    *Queue
	tx   *bbolt.Tx
	now  time.Time
	clk  clock
	full bool // the disk is: nothing that needs room

	lossDue bool

	lanes    [laneSlots]laneState
	dirty    [laneSlots]bool // the head may have changed
	buckets  [laneSlots]*bbolt.Bucket
	cursors  [laneSlots]*bbolt.Cursor // of find
	key      []byte                   // of find
	items    []item                   // of put
	seq      uint64
	losses   lossTable
	lost     bool // losses is a changed copy
	refs     map[[16]byte]clockRef
	removals []removal
	kept     keptState
	flights  map[uint64]*flight // to be written; nil removes
	attempts map[uint64]uint32  // to be written; 0 removes
	inFlight map[uint64]struct{}
	gone     []uint64 // dropped, beside removals
	accepted uint64
	released uint64
	cut      bool
}

// newTxn takes over what waits for a commit.
func (q *Queue) newTxn(full bool) *txn {
	t := &txn{q: q, now: time.Now(), full: full}
	q.mu.Lock()
	defer q.mu.Unlock()
	t.clk, t.lanes, t.seq, t.losses, t.kept = q.clock, q.lanes, q.seq, q.losses, q.kept
	t.removals, q.removals = q.removals, nil
	q.removeBy = time.Time{}
	t.lossDue = reached(q.lossBy, t.now)
	if len(q.flightDirty) > 0 {
		t.flights = make(map[uint64]*flight, len(q.flightDirty))
		for seq := range q.flightDirty {
			t.flights[seq] = nil
			if f, ok := q.flights[seq]; ok {
				t.flights[seq] = &f
			}
		}
		q.flightDirty = map[uint64]struct{}{}
	}
	if len(q.triesDirty) > 0 {
		t.attempts = make(map[uint64]uint32, len(q.triesDirty))
		for seq := range q.triesDirty {
			t.attempts[seq] = q.attempts[seq]
		}
		q.triesDirty = map[uint64]struct{}{}
	}
	t.noteFlights()
	return t
}

// putBack returns to the queue what a failed transaction had taken.
func (q *Queue) putBack(t *txn) {
	q.mu.Lock()
	q.removals = append(t.removals, q.removals...)
	for seq := range t.flights {
		q.flightDirty[seq] = struct{}{}
	}
	for seq := range t.attempts {
		q.triesDirty[seq] = struct{}{}
	}
	if len(q.removals)+len(q.flightDirty)+len(q.triesDirty) > 0 {
		q.removeBy = t.now.Add(retryWait)
	}
	if t.lossDue {
		q.lossBy = t.now.Add(retryWait)
	}
	q.mu.Unlock()
	q.nudge()
}

// idle reports whether nothing is to be written: all in the batch are Syncs.
func (t *txn) idle(batch []*request) bool {
	if len(t.removals)+len(t.flights)+len(t.attempts) > 0 || t.lossDue {
		return false
	}
	for _, r := range batch {
		if r.job != nil || r.cursor != nil || len(r.msgs) > 0 {
			return false
		}
	}
	return len(batch) > 0 // else the keeper has seen something
}

// estimate returns how many bytes the commit's records take, and how many it may need for pages that it changes: one for
// each removal, and the way to the root of every bucket. What is kept of released messages is taken to be of usual size.
func (t *txn) estimate(batch []*request) (records, pages int64) {
	const page, ways = 4096, 32
	pages = (ways + int64(min(len(t.removals), 64))) * page
	for _, r := range batch {
		for i := range r.msgs {
			m := &r.msgs[i]
			records += int64(len(m.Payload)+len(m.Topic)) + recordOverhead
		}
	}
	if t.q.cfg.KeepReleased > 0 {
		var all laneState
		for _, l := range t.lanes {
			all.Count, all.Bytes = all.Count+l.Count, all.Bytes+l.Bytes
		}
		records += int64(len(t.removals)) * all.Bytes / int64(max(1, all.Count))
	}
	return records + records/64, pages
}

// bucket returns a bucket beside those of the lanes.
func (t *txn) bucket(name []byte) *bbolt.Bucket { return t.tx.Bucket(name) }

// correct gives m the time that its clock showed later.
func (t *txn) correct(m *Message) {
	if ref, ok := t.q.refs[m.Boot]; ok {
		ref.correct(m)
	}
}

// lane returns the bucket of a lane. Sequences only grow, so its pages are filled to the end.
func (t *txn) lane(l Lane) *bbolt.Bucket {
	if t.buckets[l] == nil {
		t.buckets[l] = t.tx.Bucket(laneBucket(l))
		t.buckets[l].FillPercent = 1
	}
	return t.buckets[l]
}

// apply makes all changes of the commit.
func (t *txn) apply(b *batch) error {
	if t.q.arena = t.q.arena[:0]; cap(t.q.arena) > maxArena {
		t.q.arena = nil
	}
	if meta := t.bucket(bucketMeta); meta.Get(keyClean) != nil {
		if err := meta.Delete(keyClean); err != nil {
			return err
		}
	}
	if err := t.removeAll(); err != nil {
		return err
	}
	if err := t.expireHeads(); err != nil {
		return err
	}
	for done := 0; ; {
		for ; done < len(b.requests); done++ {
			if err := t.serve(b.requests[done]); err != nil {
				return err
			}
		}
		if t.full || !t.q.gatherMore(b) {
			break
		}
		t.q.mu.Lock()
		t.noteFlights() // some may have left since the first round
		t.q.mu.Unlock()
		if err := t.q.makeReady(t.estimate(b.requests)); err != nil {
			return t.q.writeFailed(err)
		}
	}
	if err := t.reportLosses(); err != nil {
		return err
	}
	return t.saveTables()
}

// serve does what the request is for. An error that concerns it alone becomes its answer.
func (t *txn) serve(r *request) (err error) {
	if r.job != nil {
		return r.job(t)
	}
	if r.err != nil {
		return nil
	}
	return t.putRequest(r)
}

// saveTables writes what the changes above have left in memory.
func (t *txn) saveTables() error {
	if len(t.q.origins.unsync) > 0 {
		if err := t.q.origins.save(t.bucket(bucketOrigins)); err != nil {
			return err
		}
	}
	if err := t.saveFlights(); err != nil {
		return err
	}
	if t.lost {
		if err := t.losses.save(t.bucket(bucketLosses)); err != nil {
			return err
		}
	}
	for _, l := range Lanes() {
		if err := t.settleLane(l); err != nil {
			return err
		}
	}
	return nil
}

// settleLane notes the lane's head and, in its bucket, the highest sequence given: an emptied queue must not begin anew.
func (t *txn) settleLane(l Lane) error {
	s := &t.lanes[l]
	if s.Tail > t.q.lanes[l].Tail {
		if err := t.lane(l).SetSequence(s.Tail); err != nil {
			return err
		}
	}
	if !t.dirty[l] {
		return nil
	}
	s.Head = 0
	if k, _ := t.lane(l).Cursor().First(); k != nil {
		head, err := parseKey(k)
		if err != nil {
			return err
		}
		s.Head = head
	}
	return nil
}

// setClockRef notes that the boot's clock is known.
func (t *txn) setClockRef(boot [16]byte, ref clockRef) {
	if t.refs == nil {
		t.refs = maps.Clone(t.q.refs)
	}
	t.refs[boot] = ref
	t.cut = true // readers hold messages with the old time
}

// cost is what a stored record takes up in its page: the element's header, the key and the value.
func cost(k, v []byte) int64 { return 16 + int64(len(k)) + int64(len(v)) }

// total returns what all messages take up.
func (t *txn) total() int64 {
	var sum int64
	for _, l := range t.lanes {
		sum += l.Bytes
	}
	return sum
}

// item is an encoded message.
type item struct {
	lane       Lane
	key, value []byte
}

// put stores the messages, or none of them if the error is a refusal. With keep nothing is dropped for them.
func (t *txn) put(msgs []Message, keep bool) (first uint64, err error) {
	if len(msgs) == 0 {
		return 0, nil
	}
	if t.full {
		return 0, ErrDiskFull
	}
	items := t.items[:0]
	var need int64
	lowest := Lane(0)
	for i := range msgs {
		m := msgs[i] // a copy: the caller's stays as it is
		m.Seq = t.seq + 1 + uint64(i)
		if m.Lane == 0 {
			m.Lane = Normal
		}
		t.clk.stamp(&m, t.now)
		key, value := t.encode(&m)
		items = append(items, item{m.Lane, key, value})
		need += cost(key, value)
		lowest = max(lowest, m.Lane)
	}
	t.items = items
	if err := t.makeRoom(need, lowest, keep); err != nil {
		return 0, err
	}
	for _, it := range items {
		if err := t.lane(it.lane).Put(it.key, it.value); err != nil {
			return 0, err
		}
		s := &t.lanes[it.lane]
		t.seq++
		if s.Count == 0 {
			t.dirty[it.lane] = true
		}
		s.Count++
		s.Bytes += cost(it.key, it.value)
		s.Tail = t.seq
	}
	t.accepted += uint64(len(msgs))
	return t.seq - uint64(len(msgs)) + 1, nil
}

// putRequest stores what r asks for; a refusal becomes its answer.
func (t *txn) putRequest(r *request) (err error) {
	if r.first, err = t.put(r.msgs, r.keep); isRefusal(err) {
		r.err = err
		return nil
	}
	if err == nil && r.cursor != nil {
		err = t.setCursor(r.cursor)
	}
	return err
}

// maxArena is how much memory is kept between commits for their records.
const maxArena = 1 << 20

// room sees to it that n bytes fit into the arena.
func (q *Queue) room(n int) {
	if cap(q.arena)-len(q.arena) < n {
		q.arena = make([]byte, 0, max(64<<10, n)) // what was handed out stays in the old one
	}
}

// encode puts key and record into the arena, which keeps them until the commit has been written.
func (t *txn) encode(m *Message) (key, value []byte) {
	id := t.q.origins.find(m)
	t.q.room(len(m.Topic) + len(m.Payload) + 128)
	a := t.q.arena
	start := len(a)
	a = appendKey(a, m.Seq)
	mid := len(a)
	a = appendRecord(a, m, id, t.q.origins.at(id))
	t.q.arena = a
	return a[start:mid:mid], a[mid:len(a):len(a)]
}

// find returns the lane of a stored message and a cursor that stands on it; 0 if it isn't there.
func (t *txn) find(seq uint64) (Lane, *bbolt.Cursor, []byte) {
	t.key = appendKey(t.key[:0], seq)
	for l := Alarm; l <= Bulk; l++ {
		s := &t.lanes[l]
		if s.Count == 0 || seq > s.Tail || seq < s.Head {
			continue
		}
		if t.cursors[l] == nil {
			t.cursors[l] = t.lane(l).Cursor()
		}
		if k, v := t.cursors[l].Seek(t.key); string(k) == string(t.key) {
			return l, t.cursors[l], v
		}
	}
	return 0, nil, nil
}

// delete removes the message under the cursor.
func (t *txn) delete(l Lane, c *bbolt.Cursor, k, v []byte) error {
	s := &t.lanes[l]
	s.Count--
	s.Bytes -= cost(k, v)
	t.dirty[l] = true
	return c.Delete()
}

// removeAll carries out the waiting removals. Their flights were forgotten when they were asked for.
func (t *txn) removeAll() error {
	for _, r := range t.removals {
		l, c, v := t.find(r.seq)
		if l == 0 {
			continue
		}
		if r.reason == "" {
			t.released++
			if err := t.keep(r.seq, v); err != nil {
				return err
			}
		} else {
			t.noteLoss(r.reason, l, r.seq, v)
		}
		if err := t.delete(l, c, t.key, v); err != nil {
			return err
		}
	}
	return t.trimKept()
}

func uvarint(v uint64) []byte { return binary.AppendUvarint(nil, v) }
