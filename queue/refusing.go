package queue

import (
	"errors"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Refusing says why the disk takes no messages at present: ErrDiskFull or ErrReadOnly; nil while it does. It is known from the last
// Put that met the disk; that it is over, from one that was stored, or within checkEvery from the disk.
func (q *Queue) Refusing() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refusing
}

func (q *Queue) refuse(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refusing = err
}

// checkRoom looks whether what was refused would find room by now. Nobody need try in vain to learn that.
func (q *Queue) checkRoom() {
	why := q.Refusing()
	if why == nil || q.Err() != nil {
		return
	}
	q.turn <- struct{}{}
	defer func() { <-q.turn }()
	switch {
	case errors.Is(why, ErrReadOnly) && readOnly(filepath.Dir(q.cfg.Path)):
	case errors.Is(why, ErrDiskFull) && q.makeReady(q.needed[0], q.needed[1]) != nil:
	default:
		q.refuse(nil)
	}
}

// readOnly reports whether the file system of a folder takes no writes.
func readOnly(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}
