package queue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// list gives where in the file the newest commit's list of free pages begins, and the page of the tree's root.
func list(b []byte) (at int, root uint64) {
	var newest uint64
	for _, meta := range [][]byte{b[16:], b[4096+16:]} {
		if tx := binary.NativeEndian.Uint64(meta[48:]); tx >= newest {
			newest, root = tx, binary.NativeEndian.Uint64(meta[16:])
			at = int(binary.NativeEndian.Uint64(meta[32:])) * 4096
		}
	}
	return at, root
}

// A clean stop leaves a list of free pages. With a page in it that is in use, the next commit would write over messages.
func TestFD7_ListOfFreePagesIsNotBelievedBlindly(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(b []byte, at int, root uint64)
	}{
		{"a page in use", func(b []byte, at int, root uint64) { binary.NativeEndian.PutUint64(b[at+16:], root) }},
		{"a page beyond the end", func(b []byte, at int, _ uint64) { b[at+16+8+4] ^= 1 }},
		{"a page twice", func(b []byte, at int, _ uint64) { copy(b[at+24:at+32], b[at+16:]) }},
		{"itself", func(b []byte, at int, _ uint64) { binary.NativeEndian.PutUint64(b[at+16:], uint64(at/4096)) }},
		{"too many", func(b []byte, at int, _ uint64) { b[at+11] = 0x40 }},
		{"of another kind", func(b []byte, at int, _ uint64) { b[at+8] = 2 }},
		{"of another number", func(b []byte, at int, _ uint64) { b[at] ^= 8 }},
	} {
		for _, clean := range []bool{true, false} {
			path := filepath.Join(t.TempDir(), "queue.db")
			want := fill(t, path, 600)
			edit(t, path, func(b []byte) []byte {
				at, root := list(b)
				c.damage(b, at, root)
				return b
			})
			if !clean {
				unclean(t, path)
			}
			if err := queue.CheckFile(path); !errors.Is(err, queue.ErrDamaged) {
				t.Errorf("%s: the check says %v", c.name, err)
			}
			q, err := queue.Open(queue.Config{Path: path})
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if got := set(t, q); len(got) != len(want) || q.Recovery() == nil || q.Recovery().Lost != 0 {
				t.Errorf("%s, clean %v: %d of %d messages are left, recovery %+v", c.name, clean, len(got), len(want), q.Recovery())
			}
			put(t, q, text(queue.Normal, "new")...)
			q.Close()
			check(t, path)
		}
	}
}

// The file is read at the next start only if the list is not the one that the stop has left.
func TestCleanStopSparesTheCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	fill(t, path, 600)
	for _, c := range []struct {
		name string
		lock func()
		want int
	}{
		{"as it was left", func() {}, 0},
		{"with a lock file of an older version", func() { os.WriteFile(path+".lock", []byte("pid 1\nclean 0\n"), 0o600) }, 1},
		{"and once more", func() {}, 0},
		{"without a lock file", func() { os.Remove(path + ".lock") }, 1},
	} {
		c.lock()
		checks := 0
		q, err := queue.Open(queue.Config{Path: path, Verify: func(context.Context, string) error { checks++; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		if checks != c.want {
			t.Errorf("%s: the file was read %d times, want %d", c.name, checks, c.want)
		}
		q.Close()
	}
}
