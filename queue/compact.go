package queue

import (
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

const (
	// compactFile is the size below which a file is left as it is: it is worth no copy.
	compactFile = 4 << 20
	// compactRatio is how many times larger than its messages a file must be. The copies then cost a sixteenth of what was
	// written to fill it.
	compactRatio = 16
	// compactMost bounds the pause of Puts: half a second at the 16 MB/s of a plain SD card.
	compactMost = 8 << 20
	// compactRetry is the pause after a compaction that could not be made.
	compactRetry = 10 * time.Minute
)

// compact, called with the turn, gives the disk back what a large backlog took: bbolt's files never shrink, so a copy takes
// the file's place. The content is the same and the copy is flushed before it gets the name, so a power cut at any moment
// costs nothing.
func (q *Queue) compact() {
	now := time.Now()
	live := q.liveBytes()
	if !q.compactable() || now.Before(q.nextCompact) {
		return
	}
	q.nextCompact = now.Add(compactRetry)
	if !q.roomFor(live + live/2 + q.cfg.Reserve + compactFile/4) {
		return
	}
	old := q.store.Load()
	fill := func(dst *bbolt.DB) error { return bbolt.Compact(dst, old.db, 1<<20) }
	named := false
	err := createStore(q.cfg.Path, q.cfg, false, fill, func() error { named = true; return nil })
	if err != nil {
		if named { // which of the two files the path leads to after a power cut is not known
			q.fail(err)
		}
		return
	}
	fresh, err := openStore(q.cfg.Path, q.cfg)
	if err == nil {
		q.fileSize, err = fresh.identify()
	}
	if err != nil {
		q.fail(err)
		return
	}
	q.store.Store(fresh)
	old.db.Close() // waits for readers; new ones find the new file
	q.measure()
	q.reserved, q.nextCompact = 0, time.Time{}
	q.mu.Lock()
	q.compactions++
	q.mu.Unlock()
}

// compactable reports whether the file is much larger than its messages.
func (q *Queue) compactable() bool {
	live := q.liveBytes()
	return q.fileSize >= compactFile && live <= q.fileSize/compactRatio && live <= compactMost+q.cfg.KeepReleased
}

// liveBytes returns what the messages take up, those that are kept among them. The caller has the turn.
func (q *Queue) liveBytes() int64 {
	live := q.kept.bytes
	for _, l := range q.lanes {
		live += l.Bytes
	}
	return live
}

// roomFor reports whether the disk has that many bytes free for a user without privileges.
func (q *Queue) roomFor(need int64) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(q.store.Load().file.Fd()), &st); err != nil {
		return false
	}
	return int64(st.Bavail)*int64(st.Bsize) >= need
}
