package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// OpenReadOnly opens a queue that exists on a file system on which Open fails with ErrReadOnly, to look into it: it writes nothing,
// and whatever would be written fails with ErrReadOnly, as Err and Refusing say. A damaged file gives ErrDamaged, since saving what
// can be read takes room for a new one. It doesn't ask whether rights are too wide, which can't be narrowed there.
func OpenReadOnly(cfg Config) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	clk, err := machineClock(cfg)
	if err != nil {
		return nil, err
	}
	lock, err := shareLock(cfg.Path)
	if err != nil {
		return nil, err
	}
	q := newQueue(cfg, lock, clk)
	why := fmt.Errorf("%w (%s)", ErrReadOnly, cfg.Path)
	q.refuse(why)
	if err := q.startReadOnly(); err != nil {
		return nil, errors.Join(err, lock.release())
	}
	q.end(why)
	go func() { // Close waits for it
		defer close(q.stopped)
		<-q.closing
		q.store.Load().db.Close()
		lock.release()
	}()
	return q, nil
}

func (q *Queue) startReadOnly() error {
	err := q.examine(q.lock.clean)
	if err == nil {
		var s *store
		if s, err = openStoreReadOnly(q.cfg.Path); err == nil {
			q.store.Store(s)
			if err = q.loadAll(); err != nil {
				s.db.Close()
			}
		}
	}
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w; what can be read of it is saved at the first start on a file system that takes writes", err)
	}
	return err
}

// openStoreReadOnly is openStore for a file that passed the checks and that nobody may write to.
func openStoreReadOnly(path string) (s *store, err error) {
	defer catch(&err)
	s = &store{}
	s.db, err = bbolt.Open(path, 0, &bbolt.Options{
		ReadOnly: true, Timeout: lockWait, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
		OpenFile: func(name string, _ int, _ os.FileMode) (*os.File, error) {
			f, err := os.Open(name)
			s.file = f
			return f, err
		},
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, &LockedError{Path: path}
	}
	if err != nil {
		return nil, fmt.Errorf("queue: open %s: %w", path, err)
	}
	if err := s.readMeta(path); err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// shareLock takes the lock for reading: the disk may be writable by another way, as under a bind mount. Without a lock file nobody
// has ever had the queue open.
func shareLock(path string) (*fileLock, error) {
	f, err := os.Open(path + ".lock")
	if errors.Is(err, fs.ErrNotExist) {
		return &fileLock{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("queue: lock file: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	pid, state, _, list := readLock(f)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		f.Close()
		return nil, &LockedError{Path: path, PID: pid}
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("queue: lock %s: %w", f.Name(), err)
	}
	return &fileLock{f: f, clean: state == stateClean, list: list}, nil
}
