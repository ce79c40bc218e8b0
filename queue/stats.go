package queue

import (
	"time"

	"go.etcd.io/bbolt"
)

// LaneStats is the state of one lane.
type LaneStats struct {
	Messages int
	Bytes    int64     // on disk
	Oldest   time.Time // of the oldest message, as far as its clock was known; zero if there is none
}

// KeptStats is what Config.KeepReleased has kept.
type KeptStats struct {
	Bytes       int64
	First, Last uint64 // the lowest and the highest of their sequences; 0 if there are none
}

// Loss is how many messages were dropped for one reason from one lane, since the file was made.
type Loss struct {
	Reason   Reason
	Lane     Lane
	Messages uint64
}

// Stats is the state of a queue at one moment.
type Stats struct {
	Waiting   int   // messages that are to be delivered: Messages without Releasing
	Messages  int   // on disk
	Bytes     int64 // what those take up, of MaxBytes
	MaxBytes  int64
	FileBytes int64 // size of the file
	Lanes     map[Lane]LaneStats
	InFlight  int
	Kept      KeptStats
	Releasing int    // removals that wait for a commit
	LastSeq   uint64 // the last sequence that was given
	Epoch     [8]byte

	// Since Open.
	Accepted, Released, Commits, Compactions uint64
	// Since the file was made.
	Losses []Loss
}

// Stats returns the state of the queue. It reads the head of each lane from disk.
func (q *Queue) Stats() Stats {
	oldest := q.oldest()
	s := Stats{MaxBytes: q.cfg.MaxBytes, Lanes: make(map[Lane]LaneStats), Epoch: q.Epoch()}
	if info, err := q.store.Load().file.Stat(); err == nil {
		s.FileBytes = info.Size()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range Lanes() {
		s.Lanes[l] = LaneStats{Messages: q.lanes[l].Count, Bytes: q.lanes[l].Bytes, Oldest: oldest[l]}
		s.Messages += q.lanes[l].Count
		s.Bytes += q.lanes[l].Bytes
	}
	for _, f := range q.flights {
		s.InFlight += 1 + len(f.More)
	}
	s.Releasing, s.LastSeq = len(q.removing), q.seq
	s.Accepted, s.Released, s.Commits, s.Compactions = q.accepted, q.released, q.commits, q.compactions
	s.Waiting = max(0, s.Messages-s.Releasing)
	s.Kept = KeptStats{q.kept.bytes, q.kept.first, q.kept.last}
	s.Losses = q.losses.list()
	return s
}

// oldest reads the head of each lane.
func (q *Queue) oldest() (oldest [laneSlots]time.Time) {
	view := q.viewTables()
	q.view(func(tx *bbolt.Tx) error {
		for _, l := range Lanes() {
			k, v := tx.Bucket(laneBucket(l)).Cursor().First()
			if seq, err := parseKey(k); err == nil && seq <= view.lanes[l].Tail {
				if m, err := view.decode(seq, v); err == nil {
					oldest[l] = m.Time
				}
			}
		}
		return nil
	})
	return oldest
}
