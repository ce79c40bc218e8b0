package queue

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// origin is what the messages of one source and one boot have in common. It is stored once and referred to by a number,
// so that a record doesn't repeat 16 bytes of boot id, the source's name and the high bytes of two times.
type origin struct {
	source string
	boot   [16]byte
	wall   int64 // anchor, ms since 1970
	mono   int64 // anchor, ms since the boot
}

type originKey struct {
	source string
	boot   [16]byte
}

// originTable finds origins by number and by content. Whoever has the turn changes it; readers hold copies of list,
// whose entries never change.
type originTable struct {
	list   []*origin // by number; nil where an entry is missing
	ids    map[originKey]uint64
	unsync []uint64 // not on disk yet
	low    uint64   // all numbers below are taken
	last   uint64   // found last, and likely to be asked for again
}

// at returns the origin with this number; nil if there is none.
func (t *originTable) at(id uint64) *origin { return originList(t.list).at(id) }

type originList []*origin

func (l originList) at(id uint64) *origin {
	if id >= uint64(len(l)) {
		return nil
	}
	return l[id]
}

// find returns the number of m's origin, which is made if need be.
func (t *originTable) find(m *Message) uint64 {
	key := originKey{m.Source, m.Boot}
	if o := t.at(t.last); o != nil && o.source == key.source && o.boot == key.boot {
		return t.last
	}
	if id, ok := t.ids[key]; ok {
		t.last = id
		return id
	}
	id := t.free()
	o := &origin{m.Source, m.Boot, m.Time.UnixMilli(), m.Mono.Milliseconds()}
	if id == uint64(len(t.list)) {
		t.list = append(t.list, o)
	} else { // readers keep the list that they have
		t.list = slices.Clone(t.list)
		t.list[id] = o
	}
	if t.ids == nil {
		t.ids = make(map[originKey]uint64)
	}
	t.ids[key] = id
	t.unsync = append(t.unsync, id)
	return id
}

// free returns the lowest number that no origin has.
func (t *originTable) free() uint64 {
	for t.low < uint64(len(t.list)) && t.list[t.low] != nil {
		t.low++
	}
	return t.low
}

// load reads the table from its bucket. A damaged entry is left out: its messages lose their source and time, no more.
func (t *originTable) load(b *bbolt.Bucket) error {
	*t = originTable{ids: make(map[originKey]uint64)}
	return b.ForEach(func(k, v []byte) error {
		id, n := binary.Uvarint(k)
		o := parseOrigin(v)
		if n != len(k) || o == nil || id > maxOrigins {
			return nil
		}
		for uint64(len(t.list)) <= id {
			t.list = append(t.list, nil)
		}
		t.list[id] = o
		t.ids[originKey{o.source, o.boot}] = id
		return nil
	})
}

// maxOrigins bounds the table against a damaged key.
const maxOrigins = 1 << 20

// save writes the entries that are not on disk yet.
func (t *originTable) save(b *bbolt.Bucket) error {
	for _, id := range t.unsync {
		if err := b.Put(binary.AppendUvarint(nil, id), t.list[id].append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// manyOrigins is from how many entries on Open looks which of them are still in use: each boot adds one for each source.
const manyOrigins = 1024

// pruneOrigins removes the origins that no message refers to, once there are many.
func (q *Queue) pruneOrigins() error {
	used := map[uint64]bool{}
	many := false
	err := q.view(func(tx *bbolt.Tx) error {
		origins := tx.Bucket(bucketOrigins)
		if many = origins.Stats().KeyN > manyOrigins; !many {
			return nil
		}
		note := func(rec []byte) {
			if len(rec) > recordHeader {
				id, _ := binary.Uvarint(rec[recordHeader:])
				used[id] = true
			}
		}
		for _, l := range Lanes() {
			tx.Bucket(laneBucket(l)).ForEach(func(_, v []byte) error { note(v); return nil })
		}
		if b := tx.Bucket(bucketKept); b != nil {
			b.ForEach(func(_, v []byte) error { note(v[min(1, len(v)):]); return nil })
		}
		return nil
	})
	if err != nil || !many {
		return err
	}
	return q.store.Load().db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketOrigins).Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if id, _ := binary.Uvarint(k); !used[id] {
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// append appends the stored form: CRC-32C of the rest, boot, anchor, source.
func (o *origin) append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, o.boot[:]...)
	b = binary.AppendVarint(b, o.wall)
	b = binary.AppendVarint(b, o.mono)
	b = append(b, o.source...)
	binary.LittleEndian.PutUint32(b[at:], crc32.Checksum(b[at+4:], castagnoli))
	return b
}

// parseOrigin returns nil for a damaged entry.
func parseOrigin(b []byte) *origin {
	if len(b) < 4+16 || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return nil
	}
	o := &origin{}
	copy(o.boot[:], b[4:])
	c := scanner{b: b[20:]}
	o.wall, o.mono = c.varint(), c.varint()
	if c.bad {
		return nil
	}
	o.source = string(c.b)
	return o
}

// clockRef is one moment of a boot at which the wall time was known.
type clockRef struct{ wall, mono int64 } // in ms

func (r clockRef) append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.AppendVarint(b, r.wall)
	b = binary.AppendVarint(b, r.mono)
	binary.LittleEndian.PutUint32(b[at:], crc32.Checksum(b[at+4:], castagnoli))
	return b
}

func parseClockRef(b []byte) (clockRef, bool) {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return clockRef{}, false
	}
	c := scanner{b: b[4:]}
	r := clockRef{c.varint(), c.varint()}
	return r, !c.bad && len(c.b) == 0
}

// correct gives m the time that its boot's clock showed later, if it was stamped before the clock was known.
func (r clockRef) correct(m *Message) {
	if m.Trust >= TrustKnown {
		return
	}
	was := m.Time
	m.Time = time.UnixMilli(r.wall + m.Mono.Milliseconds() - r.mono).UTC()
	m.Trust = TrustKnown
	if !m.Expires.IsZero() {
		m.Expires = m.Expires.Add(m.Time.Sub(was))
	}
}
