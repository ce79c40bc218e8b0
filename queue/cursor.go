package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

// bucketCursors is made by the first PutAt: name → CRC-32C of name and value, little-endian, and the value. Files of
// queues that never had a cursor have no such bucket.
var bucketCursors = []byte("cursors")

// Cursor says how far a producer has come in what it reads from, such as the offset in a file. It is stored in the same
// transaction as the messages that were made of what lies before it.
type Cursor struct {
	Name  string // of the producer: 1 to 255 bytes
	Value []byte // at most 4096 bytes; its meaning is the producer's
}

// maxCursor keeps a cursor within a page of the file.
const maxCursor = 4096

func (c Cursor) validate() error {
	switch {
	case c.Name == "" || len(c.Name) > 255:
		return fmt.Errorf("%w: the name of a cursor has %d bytes; it can have 1 to 255", ErrInvalid, len(c.Name))
	case len(c.Value) > maxCursor:
		return fmt.Errorf("%w: a cursor of %d bytes; at most %d are kept", ErrInvalid, len(c.Value), maxCursor)
	}
	return nil
}

// PutAt is Put for a producer that has to know after a crash how far it had come: the cursor and the messages are on disk
// together, or neither is. Without messages it stores the cursor alone.
func (q *Queue) PutAt(ctx context.Context, c Cursor, msgs ...Message) (first uint64, err error) {
	if err := c.validate(); err != nil {
		return 0, err
	}
	return q.put(ctx, &request{msgs: msgs, cursor: &c})
}

// Cursor returns the value that the last PutAt with this name has stored; nil if there was none. A value that fails its
// checksum is reported as ErrDamaged, and the next PutAt replaces it.
func (q *Queue) Cursor(name string) (value []byte, err error) {
	err = q.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketCursors)
		if b == nil {
			return nil
		}
		stored := b.Get([]byte(name))
		if stored == nil {
			return nil
		}
		if value = openCursor(name, stored); value == nil {
			return fmt.Errorf("%w: the cursor %.80q fails its checksum", ErrDamaged, name)
		}
		return nil
	})
	return value, err
}

// setCursor stores the cursor with what else is in the transaction.
func (t *txn) setCursor(c *Cursor) error {
	b, err := t.tx.CreateBucketIfNotExists(bucketCursors)
	if err != nil {
		return err
	}
	return b.Put([]byte(c.Name), sealCursor(c))
}

func sealCursor(c *Cursor) []byte {
	sum := crc32.Update(crc32.Checksum([]byte(c.Name), castagnoli), castagnoli, c.Value)
	return append(binary.LittleEndian.AppendUint32(nil, sum), c.Value...)
}

// openCursor returns a copy of the value, never nil, or nil if the checksum is wrong.
func openCursor(name string, stored []byte) []byte {
	if len(stored) < 4 {
		return nil
	}
	value := append([]byte{}, stored[4:]...)
	sum := crc32.Update(crc32.Checksum([]byte(name), castagnoli), castagnoli, value)
	if binary.LittleEndian.Uint32(stored) != sum {
		return nil
	}
	return value
}
