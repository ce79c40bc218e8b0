package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// CheckFile reads the whole file and reports what contradicts itself or a checksum, as an error that wraps ErrDamaged, or
// a FormatError. It doesn't need bbolt, so that damage can't do more than that; the file must not be in use.
func CheckFile(path string) error {
	p, err := openPages(path)
	if p != nil {
		defer p.close()
	}
	if err != nil {
		return err
	}
	fail := func(err error) error { return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err) }
	var meta, found = false, 0
	w := &walk{p: p, seen: map[uint64]bool{}, live: map[uint64]bool{}, damage: fail}
	w.element = func(k, v []byte, bucket bool) error {
		if !bucket {
			return fail(fmt.Errorf("%.20q stands beside the buckets", k))
		}
		found++
		inner := &walk{p: p, seen: w.seen, live: w.live, damage: fail}
		lane, err := ParseLane(string(k))
		inner.element = func(key, value []byte, bucket bool) error {
			switch {
			case bucket:
				return fail(fmt.Errorf("a bucket stands inside of %s", k))
			case err == nil:
				return checkElement(lane, key, value, fail)
			case string(k) == string(bucketMeta):
				meta = true
				return checkFormat(path, key, value)
			}
			return nil
		}
		return inner.bucket(v)
	}
	if err := w.tree(p.root, 0, span{}); err != nil {
		return err
	}
	if !meta || found < len(bucketNames()) {
		return fail(errors.New("it is no queue: buckets are missing"))
	}
	if err := p.checkList(w.live); err != nil {
		return fail(err)
	}
	return nil
}

func checkElement(lane Lane, k, v []byte, fail func(error) error) error {
	seq, err := parseKey(k)
	if err != nil {
		return fail(err)
	}
	if err := checkRecord(seq, v); err != nil {
		return fail(fmt.Errorf("sequence %d: %w", seq, err))
	}
	if Lane(v[1]&3) != lane {
		return fail(fmt.Errorf("sequence %d lies in the wrong lane", seq))
	}
	return nil
}

func checkFormat(path string, k, v []byte) error {
	if string(k) != string(keyFormat) {
		return nil
	}
	if format, n := binary.Uvarint(v); n > 0 && format > fileFormat {
		return &FormatError{Path: path, Got: format, Want: fileFormat}
	}
	return nil
}

// VerifyFile is what a child process runs for Config.Verify: CheckFile, and then bbolt's own check, which may end the
// process on damage that CheckFile doesn't see. It writes nothing. The file must not be in use.
func VerifyFile(path string) (err error) {
	defer catch(&err)
	if err := CheckFile(path); err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		ReadOnly: true, PreLoadFreelist: true, Timeout: lockWait, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, _ int, _ os.FileMode) (*os.File, error) { return os.Open(name) },
	})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		var first error
		for err := range tx.Check() { // to its end: it runs in a goroutine
			if first == nil {
				first = fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
			}
		}
		return first
	})
}

// verify runs the configured check within its time.
func (q *Queue) verify() error {
	if q.cfg.Verify == nil {
		return CheckFile(q.cfg.Path)
	}
	limit := q.cfg.VerifyTime
	if limit == 0 {
		limit = defaultVerifyTime(q.cfg.Path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return q.cfg.Verify(ctx, q.cfg.Path)
}
