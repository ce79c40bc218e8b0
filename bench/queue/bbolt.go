package main

import (
	"encoding/binary"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// bboltStore is bbolt as one would begin a queue on it: a bucket, ascending keys, the library's own settings.
type bboltStore struct {
	db     *bbolt.DB
	update func(func(*bbolt.Tx) error) error
}

var bucket = []byte("q")

func openBbolt(dir string) (store, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return &bboltStore{db, db.Update}, err
}

// openBboltBatch lets the library gather concurrent puts.
func openBboltBatch(dir string) (store, error) {
	s, err := openBbolt(dir)
	if err != nil {
		return nil, err
	}
	b := s.(*bboltStore)
	b.update = b.db.Batch
	return b, nil
}

func (s *bboltStore) put(msgs []message) error {
	return s.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, m := range msgs {
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			if err := b.Put(binary.BigEndian.AppendUint64(nil, n), m.bytes()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltStore) take(n int, _ bool) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for range n {
			if k, v := c.First(); k == nil || len(v) == 0 {
				return errShort
			}
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltStore) close() error { return s.db.Close() }
