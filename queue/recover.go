package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Recovery tells what Open had to do about a damaged file.
type Recovery struct {
	Damage   error  // what was found
	SetAside string // where the damaged file is now
	Saved    int    // messages that are in the new file
	// Lost counts messages that were seen but fail their checksum, and those whose sequences are missing in what can't be read.
	Lost int
	// Unsure is how many of Lost are of the latter kind: they may have left the queue before, as those of another lane do whose
	// sequences lie between.
	Unsure int
	More   bool // more than Lost were, or may have been, and nobody knows how many
}

// Recovery returns what Open had to do about a damaged file; nil if it was whole. Old and new sequences are the same, and
// so are the IDs of the messages that were saved; Epoch has changed. Each later Open tells it again until RecoveryTold.
func (q *Queue) Recovery() *Recovery { return q.recovery }

// RecoveryTold says that somebody knows of the Recovery: the next Open has nothing to tell any more.
func (q *Queue) RecoveryTold(ctx context.Context) error {
	return q.do(ctx, func(t *txn) error { return t.bucket(bucketMeta).Delete(keyRecovery) })
}

// notedRecovery is the Recovery in the file.
type notedRecovery struct {
	Damage   string `json:"damage"` // behind the text of ErrDamaged
	SetAside string `json:"set_aside"`
	Saved    int    `json:"saved"`
	Lost     int    `json:"lost"`
	Unsure   int    `json:"unsure"`
	More     bool   `json:"more"`
}

// note keeps the Recovery in the new file.
func (r *Recovery) note(s *store) error {
	text, err := json.Marshal(notedRecovery{strings.TrimPrefix(r.Damage.Error(), ErrDamaged.Error()), r.SetAside, r.Saved, r.Lost, r.Unsure, r.More})
	if err != nil {
		return err
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyRecovery, text) }); err != nil {
		return fmt.Errorf("queue: note the damage: %w", err)
	}
	return nil
}

// loadRecovery reads what an earlier Open has found and nobody was told; nil: nothing.
func loadRecovery(tx *bbolt.Tx) *Recovery {
	var n notedRecovery
	if json.Unmarshal(tx.Bucket(bucketMeta).Get(keyRecovery), &n) != nil {
		return nil
	}
	return &Recovery{fmt.Errorf("%w%s", ErrDamaged, n.Damage), n.SetAside, n.Saved, n.Lost, n.Unsure, n.More}
}

// prepareDir makes the folder if need be, and reports what keeps the queue from living there.
func prepareDir(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if mode := info.Mode(); mode.Perm()&0o002 != 0 && mode&os.ModeSticky == 0 {
		return &accessError{fmt.Sprintf("queue: everybody may change %s, and so replace the queue; run: chmod o-w %s", dir, dir)}
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w (%s)", ErrReadOnly, dir)
	} else if err != nil {
		return fmt.Errorf("queue: user %d may not write to %s (%w); run: chown %d %s", os.Getuid(), dir, err, os.Getuid(), dir)
	}
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			return &accessError{fmt.Sprintf("queue: others may read or write %s (mode %v); run: chmod 600 %s", name, info.Mode().Perm(), name)}
		}
	}
	return nil
}

// accessError reports rights that are too wide. It is fs.ErrPermission, since no restart cures it either.
type accessError struct{ text string }

func (e *accessError) Error() string        { return e.text }
func (e *accessError) Is(target error) bool { return target == fs.ErrPermission }

// openOrRecover opens the file, makes it if there is none, and sets it aside if it is damaged.
func (q *Queue) openOrRecover(clean bool) (*store, error) {
	path := q.cfg.Path
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		nothing := func(*bbolt.DB) error { return nil }
		if err := createStore(path, q.cfg, true, nothing, func() error { return nil }); err != nil {
			return nil, err
		}
		return openStore(path, q.cfg)
	} else if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	os.Remove(path + ".new") // left by a crash while a file was being made
	err := q.examine(clean)
	if err == nil {
		var s *store
		if s, err = openStore(path, q.cfg); err == nil {
			return s, nil
		}
	}
	if !errors.Is(err, ErrDamaged) {
		return nil, err
	}
	return q.salvage(err)
}

// examine looks for damage: closely after an unclean stop, else as far as bbolt could stumble over when it opens the file.
func (q *Queue) examine(clean bool) error {
	p, err := openPages(q.cfg.Path)
	if p != nil {
		defer p.close()
	}
	if err != nil {
		return err
	}
	if sum := p.listSum(); clean && sum != "" && sum == q.lock.list {
		return nil
	}
	if q.lock.starts > maxStarts {
		return fmt.Errorf("%w: %s: %d starts in a row have ended while it was opened", ErrDamaged, q.cfg.Path, q.lock.starts-1)
	}
	err = q.verify()
	var format *FormatError
	if err == nil || errors.As(err, &format) || errors.Is(err, ErrDamaged) {
		return err
	}
	// Whatever ended a child process, it was about this file; but if it just can't be read for a reason that passes,
	// it must not be set aside.
	if cerr := CheckFile(q.cfg.Path); cerr != nil && !errors.Is(cerr, ErrDamaged) {
		return cerr
	}
	return fmt.Errorf("%w: %s: the check failed: %w", ErrDamaged, q.cfg.Path, err)
}

// defaultVerifyTime suits an SD card that reads a MiB a second.
func defaultVerifyTime(path string) time.Duration {
	limit := time.Minute
	if info, err := os.Stat(path); err == nil {
		limit += time.Duration(info.Size()>>20) * time.Second
	}
	return limit
}
