package queue

import (
	"time"

	"go.etcd.io/bbolt"
)

// LaneStats is the state of one lane.
type LaneStats struct {
	Waiting  int       // messages that are to be delivered
	Messages int       // on disk: with those whose removal waits for a commit
	Bytes    int64     // of those
	Oldest   time.Time // of the oldest waiting message, as far as its clock was known; zero if there is none
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
	Waiting   int   // messages that are to be delivered, in all lanes
	Messages  int   // on disk: with those whose removal waits for a commit
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

// Stats returns the state of the queue at one moment. It reads the head of each lane, and looks up which lanes the messages
// are in whose removal waits.
func (q *Queue) Stats() Stats {
	for try := 1; ; try++ {
		s, commits := q.snapshot()
		leaving, oldest := q.survey()
		q.mu.Lock()
		same := q.commits == commits
		q.mu.Unlock()
		if !same && try < snapshots {
			continue // between the two a commit has changed what is on disk
		}
		for _, l := range Lanes() {
			of := s.Lanes[l]
			of.Oldest, of.Waiting = oldest[l], max(0, of.Messages-leaving[l])
			s.Lanes[l] = of
			s.Waiting += of.Waiting
		}
		if info, err := q.store.Load().file.Stat(); err == nil {
			s.FileBytes = info.Size()
		}
		return s
	}
}

// snapshots is how often Stats tries to find a moment without a commit. A busy queue changes by the time that it is told.
const snapshots = 4

// snapshot returns what is kept in memory, and the number of the commit that it is from.
func (q *Queue) snapshot() (Stats, uint64) {
	s := Stats{MaxBytes: q.cfg.MaxBytes, Lanes: make(map[Lane]LaneStats), Epoch: q.Epoch()}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range Lanes() {
		s.Lanes[l] = LaneStats{Messages: q.lanes[l].Count, Bytes: q.lanes[l].Bytes}
		s.Messages += q.lanes[l].Count
		s.Bytes += q.lanes[l].Bytes
	}
	for _, f := range q.flights {
		if !f.orphan {
			s.InFlight += 1 + len(f.More)
		}
	}
	s.Releasing, s.LastSeq = len(q.removing), q.seq
	s.Accepted, s.Released, s.Commits, s.Compactions = q.accepted, q.released, q.commits, q.compactions
	s.Kept = KeptStats{q.kept.bytes, q.kept.first, q.kept.last}
	s.Losses = q.losses.list()
	return s, q.commits
}

// survey counts the messages of each lane whose removal waits, and reads the time of the oldest of the others.
func (q *Queue) survey() (leaving [laneSlots]int, oldest [laneSlots]time.Time) {
	removed, view := q.removed(), q.viewTables()
	q.view(func(tx *bbolt.Tx) error {
		for _, l := range Lanes() {
			b := tx.Bucket(laneBucket(l))
			for seq := range removed {
				if s := view.lanes[l]; s.Count > 0 && seq >= s.Head && seq <= s.Tail && b.Get(appendKey(nil, seq)) != nil {
					leaving[l]++
				}
			}
			c := b.Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				seq, err := parseKey(k)
				if _, gone := removed[seq]; gone {
					continue
				}
				if err == nil && seq <= view.lanes[l].Tail {
					if m, err := view.decode(seq, v); err == nil {
						oldest[l] = m.Time
					}
				}
				break
			}
		}
		return nil
	})
	return leaving, oldest
}
