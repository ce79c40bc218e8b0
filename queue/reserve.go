package queue

import (
	"errors"
	"os"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// growStep is by how much the file grows at once: a growth costs a flush of the file system's journal, and 128 KiB are
// some 800 readings. Many producers share it with 64 commits of theirs, up to maxGrowStep.
const (
	growStep    = 128 << 10
	maxGrowStep = 1 << 20
)

// reserveStep is by how much more than needed is held ready at once: each time costs as much as a small commit.
const reserveStep = 512 << 10

// reserveBlocks makes the disk hold blocks for f between from and to, beyond its end, so that writing there can't fail
// for want of room. File systems that can't are left alone: there a full disk may delay releases until it has room.
func reserveBlocks(f *os.File, from, to int64) error {
	for from < to {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, from, to-from)
		switch {
		case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		case !errors.Is(err, unix.EINTR):
			return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
	}
	return nil
}

// makeReady prepares the file for a commit that may need new bytes at its end, and keeps Config.Reserve ready behind them.
// If the disk has no room, the error wraps ENOSPC, and nothing has changed.
func (q *Queue) makeReady(records, pages int64) error {
	s := q.store.Load()
	if end := q.used + records + pages + q.cfg.Reserve; end > q.reserved {
		err := reserveBlocks(s.file, q.reserved, end+reserveStep)
		if err == nil {
			end += reserveStep
		} else if err = reserveBlocks(s.file, q.reserved, end); err != nil {
			return err
		}
		q.reserved = end
	}
	return q.grow(q.used+records, records) // most pages that change find a free one
}

// grow makes the file at least size bytes long for a commit of records. bbolt would do it too, but hide which error it met.
func (q *Queue) grow(size, records int64) error {
	if size <= q.fileSize {
		return nil
	}
	s := q.store.Load()
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if q.fileSize = info.Size(); size <= q.fileSize { // bbolt did: the estimate was too low
		return nil
	}
	step := int64(growStep)
	if records < maxGrowStep { // a larger commit hardly notices the growth
		step = max(step, min(64*records, maxGrowStep))
	}
	size += step
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	q.fileSize = size
	return nil
}

// measure notes how much of the file is in use.
func (q *Queue) measure() {
	q.store.Load().db.View(func(tx *bbolt.Tx) error {
		q.used = tx.Size()
		return nil
	})
}
