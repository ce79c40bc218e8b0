package queue_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// sector is the unit that a disk writes whole.
const sector = 512

// disk is what a power cut could find: for each file what is certain and what was written since without a flush, and the
// same for the names.
type disk struct {
	names   map[string]int // certain
	pending []call         // of create, rename, link, unlink; kept in this order by a file system with a journal
	files   map[int]*diskFile
}

type diskFile struct {
	content []byte
	pending []call
}

func (d *disk) do(c call) {
	f := d.files[c.file]
	if f == nil {
		f = &diskFile{}
		d.files[c.file] = f
	}
	switch c.kind {
	case "write", "truncate":
		f.pending = append(f.pending, c)
	case "sync":
		for _, p := range f.pending {
			f.content = overwrite(f.content, p)
		}
		f.pending = nil
	case "syncdir":
		for _, p := range d.pending {
			applyName(d.names, p)
		}
		d.pending = nil
	case "create", "rena", "link", "unli":
		d.pending = append(d.pending, c)
	}
}

func applyName(names map[string]int, c call) {
	switch c.kind {
	case "create":
		names[c.name] = c.file
	case "rena":
		names[c.to] = names[c.name]
		delete(names, c.name)
	case "link":
		names[c.to] = names[c.name]
	case "unli":
		delete(names, c.name)
	}
}

func overwrite(b []byte, c call) []byte {
	end := c.offset + int64(len(c.data))
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[c.offset:], c.data)
	return b
}

// image writes what a power cut at this moment may leave: some of the names, and of each file some of the sectors of some
// of the unflushed writes.
func (d *disk) image(r *rand.Rand, dir string) error {
	names := maps.Clone(d.names)
	for _, c := range d.pending[:r.IntN(len(d.pending)+1)] {
		applyName(names, c)
	}
	for name, ino := range names {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), d.files[ino].torn(r), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (f *diskFile) torn(r *rand.Rand) []byte {
	b := bytes.Clone(f.content)
	keep := []float64{0, 0.1, 0.5, 0.9, 1}[r.IntN(5)] // of the sectors
	whole := r.IntN(2) == 0                           // writes are there or not, as a whole
	for _, i := range r.Perm(len(f.pending)) {
		c := f.pending[i]
		if c.kind == "truncate" {
			if r.Float64() < keep {
				b = overwrite(b, call{offset: max(c.offset, int64(len(b)))})
			}
			continue
		}
		if whole {
			if r.Float64() < keep {
				b = overwrite(b, c)
			}
			continue
		}
		for at := 0; at < len(c.data); at += sector {
			if r.Float64() < keep {
				b = overwrite(b, call{offset: c.offset + int64(at), data: c.data[at:min(at+sector, len(c.data))]})
			}
		}
	}
	return b
}

// Whatever moment the power goes, and whatever the disk makes of the writes that were not flushed: the queue opens without
// finding damage, nothing acknowledged is missing and nothing comes back whose release was on disk.
func TestCrashImages(t *testing.T) {
	most := 400
	if long() {
		most = 24000
	}
	l := crashImages(t, "steps", most, func(call) bool { return true })
	if len(l.acked) != 14 || len(l.gone) == 0 {
		t.Errorf("the run had %d messages, %d of them released", len(l.acked), len(l.gone))
	}
}

// The same while a compaction changes the file for another, and after it.
func TestCrashImagesOfACompaction(t *testing.T) {
	most := 60
	if long() {
		most = 2000
	}
	files := 0
	l := crashImages(t, "compact", most, func(c call) bool {
		if c.kind == "create" && filepath.Ext(c.name) == ".new" {
			files++
		}
		return files > 1
	})
	if files != 2 || len(l.acked) != 43 || len(l.gone) != 38 {
		t.Errorf("the run had %d messages, %d of them released, in %d files", len(l.acked), len(l.gone), files)
	}
}

// crashImages records a run and opens at least most images of moments for which from has begun to return true.
func crashImages(t *testing.T, mode string, most int, from func(call) bool) *ledger {
	dir := tempDir(t)
	path := filepath.Join(dir, "run", "queue.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var calls []call
	first := -1
	for _, c := range record(t, mode, path) {
		calls = append(calls, c)
		if first < 0 && from(c) {
			first = len(calls) - 1
		}
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	d := &disk{names: map[string]int{}, files: map[int]*diskFile{}}
	l := newLedger()
	said := 0
	for _, c := range calls[first:] {
		if c.kind == "say" {
			said++
		}
	}
	each := most/(len(calls)-first-said) + 1
	images := 0
	for i, c := range calls {
		if c.kind == "say" {
			l.hear(c.name)
			continue
		}
		d.do(c)
		for range each {
			if i < first {
				break
			}
			images++
			if err := openImage(d, r, filepath.Join(dir, "image"), l); err != nil {
				t.Fatalf("image %d, after call %d (%s), seed %d: %v", images, i, c.kind, seed, err)
			}
		}
	}
	t.Logf("%d calls, %d images, seed %d", len(calls), images, seed)
	if images < most {
		t.Errorf("%d images, want %d", images, most)
	}
	return l
}

func openImage(d *disk, r *rand.Rand, dir string, l *ledger) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := d.image(r, dir); err != nil {
		return err
	}
	q, err := queue.Open(queue.Config{Path: filepath.Join(dir, "queue.db"), Reserve: 4096})
	if err != nil {
		return err
	}
	defer q.Close()
	if rec := q.Recovery(); rec != nil {
		return fmt.Errorf("taken for damaged: %w", rec.Damage)
	}
	return l.judge(q)
}
