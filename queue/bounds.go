package queue

import (
	"time"

	"go.etcd.io/bbolt"
)

// makeRoom sees to it that need bytes fit below MaxBytes for messages of which lane is the least urgent. Nothing more
// urgent than those is dropped for them: alarms give way to alarms only. With keep nothing is.
func (t *txn) makeRoom(need int64, lane Lane, keep bool) error {
	excess := t.total() + need - t.q.cfg.MaxBytes
	if excess <= 0 {
		return nil
	}
	if keep || t.q.cfg.Full == Refuse || t.droppable(lane) < excess {
		return ErrFull
	}
	for l := Bulk; l >= lane && excess > 0; l-- {
		freed, err := t.dropOldest(l, excess)
		if err != nil {
			return err
		}
		excess -= freed
	}
	return nil
}

// droppable returns the bytes of the lanes that may give way to a message of the lane. Messages on their way stay: their
// packet ids are known to the broker.
func (t *txn) droppable(lane Lane) int64 {
	var sum int64
	for l := lane; l <= Bulk; l++ {
		sum += t.lanes[l].Bytes
	}
	for seq := range t.inFlight {
		if l, _, v := t.find(seq); l >= lane {
			sum -= cost(appendKey(nil, seq), v)
		}
	}
	return sum
}

// dropOldest drops messages of the lane from its head on until want bytes are free or none is left.
func (t *txn) dropOldest(l Lane, want int64) (freed int64, err error) {
	c := t.lane(l).Cursor()
	for k, v := c.First(); k != nil && freed < want; {
		seq, err := parseKey(k)
		if err != nil {
			return freed, err
		}
		if _, ok := t.inFlight[seq]; ok {
			k, v = c.Next()
			continue
		}
		freed += cost(k, v)
		if err := t.drop(ReasonFull, l, c, seq, k, v); err != nil {
			return freed, err
		}
		k, v = c.Seek(appendKey(nil, seq))
	}
	return freed, nil
}

// drop removes the message under the cursor and counts it as lost.
func (t *txn) drop(reason Reason, l Lane, c *bbolt.Cursor, seq uint64, k, v []byte) error {
	t.noteLoss(reason, l, seq, v)
	t.forget(seq)
	t.cut = true
	return t.delete(l, c, k, v)
}

// expireBatch bounds how long expiries hold up the Puts of a commit.
const expireBatch = 1024

// expireHeads drops what is at the head of a lane and past its time. What lies behind a younger head is dropped when its
// turn comes: a Reader doesn't hand it out.
func (t *txn) expireHeads() error {
	for _, l := range Lanes() {
		if t.lanes[l].Count == 0 {
			continue
		}
		c := t.lane(l).Cursor()
		for range expireBatch { // the rest has its turn in the next commit
			k, v := c.First()
			if k == nil {
				break
			}
			seq, err := parseKey(k)
			if err != nil {
				return err
			}
			reason := t.q.overdue(seq, v, t.q.refs, t.q.origins.at, &t.clk, t.now)
			if _, ok := t.inFlight[seq]; ok || reason == "" {
				break
			}
			if err := t.drop(reason, l, c, seq, k, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// overdue returns why a record is past its time; "" if it isn't, or if that can't be told.
func (q *Queue) overdue(seq uint64, rec []byte, refs map[[16]byte]clockRef, origins func(uint64) *origin, clk *clock, now time.Time) Reason {
	if q.cfg.MaxAge == 0 && len(rec) >= recordHeader && rec[1]&flagExtras == 0 {
		return ""
	}
	m, err := decodeRecord(seq, rec, origins)
	if err != nil {
		return ""
	}
	if ref, ok := refs[m.Boot]; ok {
		ref.correct(&m)
	}
	return clk.overdue(&m, q.cfg.MaxAge, now)
}

// overdue returns why m is past its time at the moment now.
func (c *clock) overdue(m *Message, maxAge time.Duration, now time.Time) Reason {
	age, ok := c.age(m, now)
	switch {
	case !ok:
		return ""
	case !m.Expires.IsZero() && age >= m.Expires.Sub(m.Time):
		return ReasonExpired
	case maxAge > 0 && age > maxAge:
		return ReasonAge
	}
	return ""
}
