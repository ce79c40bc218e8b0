package queue

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

// scanLanes finds out by reading everything what a clean stop would have left written.
func scanLanes(tx *bbolt.Tx) (lanes [laneSlots]laneState, err error) {
	for _, l := range Lanes() {
		b := tx.Bucket(laneBucket(l))
		s := &lanes[l]
		s.Tail = b.Sequence()
		err := b.ForEach(func(k, v []byte) error {
			seq, err := parseKey(k)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			if s.Count == 0 {
				s.Head = seq
			}
			s.Count++
			s.Bytes += cost(k, v)
			s.Tail = max(s.Tail, seq)
			return nil
		})
		if err != nil {
			return lanes, err
		}
	}
	return lanes, nil
}

// cleanSummary returns what commitLast wrote, if nothing was written since.
func cleanSummary(tx *bbolt.Tx) (lanes [laneSlots]laneState, ok bool) {
	v := tx.Bucket(bucketMeta).Get(keyClean)
	if len(v) < 4 || binary.LittleEndian.Uint32(v) != crc32.Checksum(v[4:], castagnoli) {
		return lanes, false
	}
	return lanes, json.Unmarshal(v[4:], &lanes) == nil
}

// commitLast writes what waits, the losses not yet reported, the summary, and bbolt's list of free pages, which spares the
// next Open from reading the file. The first commit after it takes the mark away again.
func (q *Queue) commitLast() (err error) {
	defer func() {
		if r := recover(); r != nil {
			q.panicked = true
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	q.mu.Lock()
	q.lossBy = q.lossBy.Add(-q.cfg.LossWait) // due now, if there are any
	q.mu.Unlock()
	if err := q.tryCommit(new(batch), false); err != nil {
		// A full disk still takes the removals.
		if err := q.tryCommit(new(batch), true); err != nil {
			return err
		}
	}
	lanes, err := json.Marshal(q.lanes)
	if err != nil {
		return err
	}
	v := append(binary.LittleEndian.AppendUint32(nil, crc32.Checksum(lanes, castagnoli)), lanes...)
	db := q.store.Load().db
	db.NoFreelistSync = false
	return db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyClean, v) })
}
