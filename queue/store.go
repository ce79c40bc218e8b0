package queue

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// fileFormat is the version of the file's layout: buckets and keys. Older ones are read, newer ones refused. A new file has
// the oldest version that can hold what is in it, so that an older program can take it over.
const (
	firstFormat    = 1
	formatGathered = 2 // flights of several messages, whose packet ids an older program would give out again
	formatOrphans  = 3 // flights whose messages were dropped; likewise
	fileFormat     = formatOrphans
)

// The buckets beside those of the lanes.
var (
	bucketMeta     = []byte("meta")     // keyFormat, keyEpoch, keyRecovery, keyClean
	bucketOrigins  = []byte("origins")  // uvarint → origin
	bucketClocks   = []byte("clocks")   // boot id → clockRef
	bucketFlights  = []byte("flights")  // key → flight
	bucketAttempts = []byte("attempts") // key → uvarint
	bucketLosses   = []byte("losses")   // reason/lane → loss as JSON

	keyFormat   = []byte("format")
	keyEpoch    = []byte("epoch")
	keyRecovery = []byte("recovery") // there only if nobody was told
	keyClean    = []byte("clean")    // there only if the queue was closed: what a scan would find
)

func laneBucket(l Lane) []byte { return []byte(l.String()) }

// store is an open file.
type store struct {
	db    *bbolt.DB
	file  *os.File // bbolt's own handle; it closes it
	epoch [8]byte
	id    fileID

	commits uint // with the turn
}

// openStore opens a file that exists and passed checkQuick. What bbolt panics about is returned as ErrDamaged.
func openStore(path string, cfg Config) (s *store, err error) {
	defer catch(&err)
	s = &store{}
	s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockWait,
		// The list of free pages grows with what was drained and would be written with each commit: 655 KB after a
		// million messages. Without it, Open has to read every page after an unclean stop; MaxBytes bounds that.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		// A map that never has to move: readers don't hold up the writer, nor the other way round.
		InitialMmapSize: mapSize(cfg.MaxBytes+cfg.KeepReleased, path),
		NoStatistics:    true,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
			s.file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, &LockedError{Path: path}
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %s: %v", ErrDamaged, path, err)
	case err != nil:
		return nil, fmt.Errorf("queue: open %s: %w", path, err)
	}
	s.db.AllocSize = growStep
	if err := s.readMeta(path); err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

func (s *store) readMeta(path string) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return fmt.Errorf("%w: %s is no queue", ErrDamaged, path)
		}
		format, n := binary.Uvarint(meta.Get(keyFormat))
		if n <= 0 || format == 0 {
			return fmt.Errorf("%w: %s has no format", ErrDamaged, path)
		}
		if format > fileFormat {
			return &FormatError{Path: path, Got: format, Want: fileFormat}
		}
		if copy(s.epoch[:], meta.Get(keyEpoch)) != len(s.epoch) {
			return fmt.Errorf("%w: %s has no epoch", ErrDamaged, path)
		}
		for _, name := range bucketNames() {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: %s has no bucket %s", ErrDamaged, path, name)
			}
		}
		return nil
	})
}

// raiseFormat notes that the file holds what came with the format.
func (t *txn) raiseFormat(format uint64) error {
	meta := t.bucket(bucketMeta)
	if got, _ := binary.Uvarint(meta.Get(keyFormat)); got >= format {
		return nil
	}
	return meta.Put(keyFormat, uvarint(format))
}

func bucketNames() [][]byte {
	names := [][]byte{bucketMeta, bucketOrigins, bucketClocks, bucketFlights, bucketAttempts, bucketLosses}
	for _, l := range Lanes() {
		names = append(names, laneBucket(l))
	}
	return names
}

// mapSize leaves room for pages that are free or half full, within the address space of a 32-bit machine.
func mapSize(maxBytes int64, path string) int {
	size := 2*maxBytes + 16<<20
	if info, err := os.Stat(path); err == nil {
		size = max(size, info.Size())
	}
	if unix.SizeofPtr == 4 {
		size = min(size, 512<<20)
	}
	return int(size)
}

// createStore makes a queue file so that a power cut leaves either what was there before or a whole new one: bbolt's own
// first write is not atomic. fill writes into the new file; ready is called when it is whole and about to get its name.
// With empty it has all buckets and an epoch before fill sees it.
func createStore(path string, cfg Config, empty bool, fill func(*bbolt.DB) error, ready func() error) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("queue: %w", err)
	}
	err := writeNew(temp, cfg, func(db *bbolt.DB) error {
		if empty {
			if err := db.Update(initBuckets); err != nil {
				return err
			}
		}
		return fill(db)
	})
	if err == nil {
		err = ready()
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func initBuckets(tx *bbolt.Tx) error {
	for _, name := range bucketNames() {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keyFormat, uvarint(firstFormat)); err != nil {
		return err
	}
	epoch := make([]byte, 8)
	rand.Read(epoch)
	return meta.Put(keyEpoch, epoch)
}

// writeNew makes a file, lets fill write into it, and reads it through again.
func writeNew(temp string, cfg Config, fill func(*bbolt.DB) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("queue: create %s: %w", temp, err)
		}
	}()
	var f *os.File
	db, err := bbolt.Open(temp, 0o600, &bbolt.Options{
		Timeout: lockWait, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
			f, err = os.OpenFile(name, flag, mode)
			return f, err
		},
	})
	if err != nil {
		return err
	}
	db.AllocSize = growStep
	err = fill(db)
	if err == nil {
		var info os.FileInfo
		if info, err = f.Stat(); err == nil {
			err = reserveBlocks(f, 0, info.Size()+cfg.Reserve)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return CheckFile(temp)
}

// syncDir makes names in the folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("queue: sync %s: %w", dir, err)
	}
	return nil
}

// catch turns a panic of bbolt over a damaged page, and a fault of the map over a truncated file, into ErrDamaged.
// It is deferred.
func catch(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, r)
	}
}

// view runs f in a read transaction on the current file. It must be short: pages aren't reused while it runs.
func (q *Queue) view(f func(*bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer catch(&err)
	for {
		s := q.store.Load()
		err := s.db.View(f)
		if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
			if q.store.Load() != s {
				continue // compaction has put a new file in its place
			}
			return ErrClosed
		}
		return err
	}
}

// fileID tells files apart.
type fileID struct {
	major, minor uint32
	ino          uint64
}

// idOf asks for the identity of a file and no more: since Linux 6.13, whoever asks for its times makes the next write
// store a new one, which costs a commit an eighth of its rate.
func idOf(dir int, path string, flags int) (fileID, error) {
	var st unix.Statx_t
	err := unix.Statx(dir, path, flags, unix.STATX_INO, &st)
	return fileID{st.Dev_major, st.Dev_minor, st.Ino}, err
}

// identify notes which file the store holds, and returns its size.
func (s *store) identify() (size int64, err error) {
	if s.id, err = idOf(int(s.file.Fd()), "", unix.AT_EMPTY_PATH); err != nil {
		return 0, fmt.Errorf("queue: %s: %w", s.file.Name(), err)
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, fmt.Errorf("queue: %w", err)
	}
	return info.Size(), nil
}

// inPlace reports an error unless the path still leads to the file: what is written to a file without a name is lost.
func (s *store) inPlace(path string) error {
	id, err := idOf(unix.AT_FDCWD, path, 0)
	if err != nil {
		return fmt.Errorf("%w: %s was removed while it was in use (%v); start again", ErrFailed, path, err)
	}
	if id != s.id {
		return fmt.Errorf("%w: %s was replaced while it was in use; start again", ErrFailed, path)
	}
	return nil
}
