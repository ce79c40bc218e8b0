package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// salvage saves what can be read of the damaged file into a new one, which takes its place. The damaged one stays, under a
// name that says when. At each moment the path leads to one of the two.
func (q *Queue) salvage(damage error) (*store, error) {
	path := q.cfg.Path
	p, err := openPages(path)
	if p == nil {
		return nil, err
	}
	defer p.close()
	w := &wreck{p: p, origins: map[uint64]*origin{}, saved: map[uint64]bool{}, lost: map[uint64]Lane{}, cursors: map[string][]byte{}}
	if err := createStore(path, q.cfg, true, w.saveAll, func() error { return setAside(path, &w.aside) }); err != nil {
		return nil, fmt.Errorf("queue: salvage of a damaged file (%v): %w", damage, err)
	}
	q.recovery = &Recovery{Damage: damage, SetAside: w.aside, Saved: len(w.saved), Lost: len(w.lost), Unsure: w.unsure, More: w.more}
	s, err := openStore(path, q.cfg)
	if err == nil {
		err = q.recovery.note(s)
	}
	return s, err
}

// setAside gives the damaged file a second name, under which it stays.
func setAside(path string, name *string) error {
	first := path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	*name = first
	for i := 2; ; i++ {
		err := os.Link(path, *name)
		if err == nil {
			return syncDir(filepath.Dir(path))
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		*name = fmt.Sprintf("%s-%d", first, i)
	}
}

// wreck is a damaged file that is being saved from.
type wreck struct {
	p       *pageFile
	aside   string
	epoch   [8]byte
	origins map[uint64]*origin // nil where two differ
	sure    map[uint64]*origin // those of them that the tree led to
	hurt    bool               // not all of the tree could be read
	heads   [laneSlots]uint64  // first sequence of a lane, where the tree says so for certain
	whole   [laneSlots]bool    // the lane's tree has no holes: what isn't in it was released
	saved   map[uint64]bool
	lost    map[uint64]Lane // seen, but not whole, or in a gap
	gaps    []gap
	unsure  int // of lost, only missing
	visited [laneSlots]bool
	more    bool              // lost, and not to be counted
	cursors map[string][]byte // whole ones, as stored

	tx      *bbolt.Tx // of the new file
	table   originTable
	pending int
}

// saveBatch bounds the memory of a transaction of the new file.
const saveBatch = 4096

// saveAll fills the new file: first with what the tree leads to, and if that has holes with every whole record in any
// page. Such pages may be from before a release: a message can then come again, under its old ID.
func (w *wreck) saveAll(db *bbolt.DB) error {
	w.readTables()
	if w.hurt {
		w.sure = maps.Clone(w.origins)
		w.eachPage(w.rawTables)
	}
	var err error
	if w.tx, err = db.Begin(true); err != nil {
		return err
	}
	defer func() { w.tx.Rollback() }()
	if err := w.saveTree(db); err != nil {
		return err
	}
	if w.hurt {
		if err := w.eachPage(func(pg page) error { return w.rawRecords(db, pg) }); err != nil {
			return err
		}
	}
	w.countGaps()
	for seq := range w.lost {
		if w.saved[seq] {
			delete(w.lost, seq)
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	return w.tx.Commit()
}

// tolerate notes that the tree has a hole, and goes on beside it.
func (w *wreck) tolerate(error) error {
	w.hurt = true
	return nil
}

// buckets visits the buckets of the root.
func (w *wreck) buckets(visit func(name string, v []byte)) {
	if w.p.pageSize == 0 {
		w.hurt = true
		return
	}
	root := &walk{p: w.p, seen: map[uint64]bool{}, damage: w.tolerate}
	root.element = func(k, v []byte, bucket bool) error {
		if bucket {
			visit(string(k), v)
		}
		return nil
	}
	root.tree(w.p.root, 0, span{})
}

// readTables reads the epoch and the origins as far as the tree leads there.
func (w *wreck) readTables() {
	found := 0
	w.buckets(func(name string, v []byte) {
		found++
		inner := &walk{p: w.p, seen: map[uint64]bool{}, damage: w.tolerate}
		inner.element = func(k, v []byte, _ bool) error {
			switch name {
			case string(bucketOrigins):
				w.addOrigin(k, v)
			case string(bucketMeta):
				if string(k) == string(keyEpoch) && len(v) == len(w.epoch) {
					copy(w.epoch[:], v)
				}
			case string(bucketCursors):
				if openCursor(string(k), v) != nil {
					w.cursors[string(k)] = bytes.Clone(v)
				}
			}
			return nil
		}
		inner.bucket(v)
	})
	if found < len(bucketNames()) {
		w.hurt = true
	}
}

func (w *wreck) addOrigin(k, v []byte) {
	id, n := binary.Uvarint(k)
	o := parseOrigin(v)
	if n != len(k) || o == nil {
		return
	}
	if old, ok := w.origins[id]; ok && (old == nil || *old != *o) {
		o = nil // numbers are used again in an emptied file: which of the two it was can't be told
	}
	w.origins[id] = o
}

// saveTree saves the records of the lanes' trees.
func (w *wreck) saveTree(db *bbolt.DB) (err error) {
	w.buckets(func(name string, v []byte) {
		lane, lerr := ParseLane(name)
		if lerr != nil || err != nil {
			return
		}
		whole := true // up to here
		hole, last := false, uint64(0)
		inner := &walk{p: w.p, seen: map[uint64]bool{}, damage: func(e error) error {
			whole, hole = false, true
			return w.tolerate(e)
		}}
		inner.element = func(k, v []byte, _ bool) error {
			seq, err := parseKey(k)
			if err != nil {
				return inner.damage(err)
			}
			if whole && w.heads[lane] == 0 {
				w.heads[lane] = seq
			}
			if checkRecord(seq, v) != nil || Lane(v[1]&3) != lane {
				w.lost[seq] = lane
				w.hurt = true
				return nil
			}
			if hole {
				w.gaps = append(w.gaps, gap{lane, last, seq})
			}
			hole, last = false, seq
			return w.save(db, seq, v)
		}
		err = inner.bucket(v)
		w.whole[lane], w.visited[lane] = whole, true
		if hole && len(v) >= 16 {
			w.gaps = append(w.gaps, gap{lane, last, order.Uint64(v[8:]) + 1}) // the bucket's own sequence is the last one given in the lane
		}
	})
	return err
}

// rawRecords saves what the tree didn't lead to.
func (w *wreck) rawRecords(db *bbolt.DB, pg page) error {
	return eachElement(pg, func(k, v []byte) error {
		seq, err := parseKey(k)
		if err != nil || checkRecord(seq, v) != nil || w.saved[seq] {
			return nil
		}
		lane := v[1] & 3
		if _, lost := w.lost[seq]; !lost && (w.whole[lane] || seq < w.heads[lane]) {
			return nil
		}
		return w.save(db, seq, v)
	})
}

func (w *wreck) rawTables(pg page) error {
	return eachElement(pg, func(k, v []byte) error {
		if string(k) == string(keyEpoch) && len(v) == len(w.epoch) && w.epoch == ([8]byte{}) {
			copy(w.epoch[:], v)
		}
		if id, _ := binary.Uvarint(k); w.sure[id] == nil {
			w.addOrigin(k, v)
		}
		return nil
	})
}

// eachPage reads every page of the file, whether or not it is in use.
func (w *wreck) eachPage(visit func(page) error) error {
	size := w.p.pageSize
	if size == 0 {
		size = int64(os.Getpagesize()) // what bbolt takes
	}
	for id := uint64(2); int64(id)*size < w.p.size; id++ {
		b := make([]byte, size)
		if n, _ := w.p.f.ReadAt(b, int64(id)*size); n < pageHeader || order.Uint64(b) != id {
			continue
		}
		// A large record goes on in the pages that follow.
		if more := min(int64(order.Uint32(b[12:])), w.p.size/size); more > 0 {
			b = make([]byte, min((more+1)*size, w.p.size-int64(id)*size))
			w.p.f.ReadAt(b, int64(id)*size)
		}
		if pg, err := parsePage(id, b); err == nil && pg.leaf {
			if err := visit(pg); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachElement visits the elements of a leaf, and those of the small buckets inside of it.
func eachElement(pg page, visit func(k, v []byte) error) error {
	for i := range pg.count {
		k, v, bucket, ok := pg.leafElement(i)
		switch {
		case !ok:
		case !bucket:
			if err := visit(k, v); err != nil {
				return err
			}
		case len(v) > 16 && order.Uint64(v) == 0:
			if inner, err := parsePage(0, v[16:]); err == nil && inner.leaf {
				if err := eachElement(inner, visit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// save writes one record to the new file, with the ID that it had.
func (w *wreck) save(db *bbolt.DB, seq uint64, rec []byte) error {
	m, err := decodeRecord(seq, rec, func(id uint64) *origin { return w.origins[id] })
	if err != nil {
		w.lost[seq] = Lane(rec[1] & 3)
		return nil
	}
	if m.ID == (ID{}) && w.epoch != ([8]byte{}) {
		m.ID = ID{w.epoch, seq}
	}
	if w.pending++; w.pending%saveBatch == 0 {
		if err := w.tx.Commit(); err != nil {
			return err
		}
		if w.tx, err = db.Begin(true); err != nil {
			return err
		}
	}
	b := w.tx.Bucket(laneBucket(m.Lane))
	b.FillPercent = 1
	id := w.table.find(&m)
	if err := b.Put(appendKey(nil, seq), appendRecord(nil, &m, id, w.table.at(id))); err != nil {
		return err
	}
	if err := b.SetSequence(max(b.Sequence(), seq)); err != nil {
		return err
	}
	w.saved[seq] = true
	return nil
}

// finish writes the origins, the cursors, and the receipts for what was lost.
func (w *wreck) finish() error {
	if err := w.table.save(w.tx.Bucket(bucketOrigins)); err != nil {
		return err
	}
	for name, stored := range w.cursors {
		b, err := w.tx.CreateBucketIfNotExists(bucketCursors)
		if err == nil {
			err = b.Put([]byte(name), stored)
		}
		if err != nil {
			return err
		}
	}
	losses := lossTable{}
	for _, seq := range slices.Sorted(maps.Keys(w.lost)) {
		lane := w.lost[seq]
		id := ID{w.epoch, seq}.String()
		key := lossKey{ReasonDamaged, lane}
		l := losses[key]
		if l.Open == nil {
			l.Open = &Receipt{Schema: 1, Reason: ReasonDamaged, Lane: lane.String(), FirstID: id}
		}
		l.Total++
		l.Open.Messages++
		l.Open.LastID = id
		losses[key] = l
	}
	return losses.save(w.tx.Bucket(bucketLosses))
}
