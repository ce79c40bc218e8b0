package queue

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// A pageFile reads bbolt's pages without bbolt: damage gives errors here where it would give panics and faults there.
// Numbers are in the machine's byte order, as bbolt writes them.
//
//	page    id uint64, flags uint16, count uint16, overflow uint32; then count elements
//	meta    magic, version, page size, flags uint32; root page, root sequence, free list, end, transaction uint64;
//	        FNV-1a 64 of all that
//	branch  position of the key uint32, its size uint32, page uint64
//	leaf    flags uint32 (1: bucket), position, key size, value size uint32
//	bucket  root page uint64, sequence uint64; with root 0 the one page of the bucket follows
type pageFile struct {
	f        *os.File
	size     int64
	pageSize int64
	root     uint64
	list     uint64 // the page with the list of free pages, or noList
	end      uint64 // pages from here on are not in use
}

const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader = 16
	metaLength = 64
	leafHeader = 16

	flagBranch = 0x01
	flagLeaf   = 0x02
	flagBucket = 0x01

	// maxDepth of a tree: 25 to the power of it is more than fits any disk; damage can make cycles.
	maxDepth = 16
)

var order = binary.NativeEndian

// openPages finds the meta page of the last commit.
func openPages(path string) (*pageFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	p := &pageFile{f: f}
	if err := p.readMeta(); err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	return p, nil
}

func (p *pageFile) close() { p.f.Close() }

// readMeta takes the newer of the two meta pages that pass their checksum. The page size is the one for which the second
// lies where the first says; without the first, the sizes that bbolt could have used are tried.
func (p *pageFile) readMeta() error {
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	p.size = info.Size()
	var newest uint64
	for _, at := range []int64{0, 4096, 8192, 16384, 32768, 65536} {
		b := make([]byte, pageHeader+metaLength)
		if _, err := p.f.ReadAt(b, at); err != nil {
			continue
		}
		m := b[pageHeader:]
		pageSize, tx := int64(order.Uint32(m[8:])), order.Uint64(m[48:])
		if order.Uint32(m) != boltMagic || order.Uint32(m[4:]) != boltVersion || order.Uint64(m[56:]) != fnv64(m[:56]) {
			continue
		}
		if pageSize < 512 || at != 0 && at != pageSize || p.pageSize != 0 && tx <= newest {
			continue
		}
		newest, p.pageSize = tx, pageSize
		p.root, p.list, p.end = order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
	}
	switch {
	case p.pageSize == 0:
		return fmt.Errorf("neither meta page is whole")
	case p.end > 1<<40 || int64(p.end)*p.pageSize > p.size:
		return fmt.Errorf("the file has %d bytes, less than the %d pages of its last commit", p.size, p.end)
	}
	return nil
}

func fnv64(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// page is a page with its overflow, in memory.
type page struct {
	data  []byte
	count int
	leaf  bool
}

// read returns the page with this number, checked as far as its header goes.
func (p *pageFile) read(id uint64) (page, error) {
	b, err := p.bytes(id)
	if err != nil {
		return page{}, err
	}
	return parsePage(id, b)
}

// bytes returns a page of any kind with its overflow.
func (p *pageFile) bytes(id uint64) ([]byte, error) {
	if id < 2 || id >= p.end {
		return nil, fmt.Errorf("page %d lies outside of the file's %d", id, p.end)
	}
	b := make([]byte, p.pageSize)
	if _, err := p.f.ReadAt(b, int64(id)*p.pageSize); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	overflow := uint64(order.Uint32(b[12:]))
	if got := order.Uint64(b); got != id {
		return nil, fmt.Errorf("page %d says that it is %d", id, got)
	}
	if id+overflow >= p.end {
		return nil, fmt.Errorf("page %d claims %d more, beyond the end", id, overflow)
	}
	if overflow > 0 {
		more := make([]byte, int64(overflow)*p.pageSize)
		if _, err := p.f.ReadAt(more, int64(id+1)*p.pageSize); err != nil && err != io.EOF {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
		b = append(b, more...)
	}
	return b, nil
}

func parsePage(id uint64, b []byte) (page, error) {
	if len(b) < pageHeader {
		return page{}, fmt.Errorf("page %d is cut off", id)
	}
	pg := page{data: b[pageHeader:], count: int(order.Uint16(b[10:]))}
	switch flags := order.Uint16(b[8:]); flags {
	case flagLeaf:
		pg.leaf = true
	case flagBranch:
	default:
		return page{}, fmt.Errorf("page %d is of kind %#x, neither leaf nor branch", id, flags)
	}
	if pg.count*leafHeader > len(pg.data) {
		return page{}, fmt.Errorf("page %d claims %d elements", id, pg.count)
	}
	return pg, nil
}

// slice returns data[at:at+n], or nil if that lies outside.
func (pg page) slice(at, n uint64) []byte {
	if at > uint64(len(pg.data)) || n > uint64(len(pg.data))-at {
		return nil
	}
	return pg.data[at : at+n : at+n]
}

// leafElement returns the i-th key and value; ok is false if they lie outside of the page.
func (pg page) leafElement(i int) (k, v []byte, bucket, ok bool) {
	at := uint64(i * leafHeader)
	h := pg.data[at:]
	flags, pos, ks, vs := order.Uint32(h), uint64(order.Uint32(h[4:])), uint64(order.Uint32(h[8:])), uint64(order.Uint32(h[12:]))
	k, v = pg.slice(at+pos, ks), pg.slice(at+pos+ks, vs)
	return k, v, flags == flagBucket, k != nil && v != nil && flags <= flagBucket
}

// child returns the i-th page below a branch.
func (pg page) child(i int) (k []byte, id uint64, ok bool) {
	at := uint64(i * leafHeader)
	h := pg.data[at:]
	k = pg.slice(at+uint64(order.Uint32(h)), uint64(order.Uint32(h[4:])))
	return k, order.Uint64(h[8:]), k != nil
}

// A walk visits the elements of a tree in order.
type walk struct {
	p *pageFile
	// element is called for each key of a leaf; an error ends the walk.
	element func(k, v []byte, bucket bool) error
	// damage is called for what can't be followed; if it returns nil the walk goes on beside it.
	damage func(error) error
	seen   map[uint64]bool
	// live, if it isn't nil, gets every page of the tree, overflow included.
	live map[uint64]bool
	// last is the key before; keys that don't rise are damage.
	last []byte
}

// span is what the branches above say of the keys of a page: not below low, and below high; nil is no bound.
type span struct{ low, high []byte }

func (s span) holds(k []byte) bool {
	return string(k) >= string(s.low) && (s.high == nil || string(k) < string(s.high))
}

func (w *walk) tree(id uint64, depth int, s span) error {
	if w.seen[id] || depth > maxDepth {
		return w.damage(fmt.Errorf("page %d is in the tree twice", id))
	}
	w.seen[id] = true
	pg, err := w.p.read(id)
	if err != nil {
		return w.damage(err)
	}
	if w.live != nil {
		w.p.mark(w.live, id, len(pg.data)+pageHeader)
	}
	return w.page(id, pg, depth, s)
}

func (w *walk) page(id uint64, pg page, depth int, s span) error {
	for i := range pg.count {
		if pg.leaf {
			k, v, bucket, ok := pg.leafElement(i)
			if !ok || !s.holds(k) || w.last != nil && string(k) <= string(w.last) {
				if err := w.damage(fmt.Errorf("page %d: element %d is out of place", id, i)); err != nil {
					return err
				}
				continue
			}
			w.last = k
			if err := w.element(k, v, bucket); err != nil {
				return err
			}
			continue
		}
		low, child, ok := pg.child(i)
		below := span{low, s.high}
		if i == 0 { // bbolt looks there for lower keys, too
			below.low = s.low
		}
		if i+1 < pg.count {
			next, _, nextOK := pg.child(i + 1)
			below.high, ok = next, ok && nextOK
		}
		if !ok || string(low) < string(below.low) {
			if err := w.damage(fmt.Errorf("page %d: branch %d is out of place", id, i)); err != nil {
				return err
			}
			continue
		}
		if err := w.tree(child, depth+1, below); err != nil {
			return err
		}
	}
	return nil
}

// bucket visits a bucket, given the value that its parent has for it.
func (w *walk) bucket(v []byte) error {
	w.last = nil
	if len(v) < 16 {
		return w.damage(fmt.Errorf("a bucket's header has %d bytes", len(v)))
	}
	if root := order.Uint64(v); root != 0 {
		return w.tree(root, 0, span{})
	}
	pg, err := parsePage(0, v[16:])
	if err != nil {
		return w.damage(err)
	}
	return w.page(0, pg, 0, span{})
}
