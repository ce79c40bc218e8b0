package queue_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// smallDisk mounts a file system of a few MiB, which takes root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("mounting a small file system: %v; this test needs root and the right to mount", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp writes a file until the disk has no room left, and returns its name.
func fillUp(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "others")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return name
}

func TestDiskFilledByOthers(t *testing.T) {
	t.Run("tmpfs", func(t *testing.T) { diskFilledByOthers(t, smallDisk(t, "6m")) })
	t.Run("ext4", func(t *testing.T) {
		dir, _ := ramDisk(t, "16M")
		diskFilledByOthers(t, dir)
	})
}

func diskFilledByOthers(t *testing.T, dir string) {
	path := filepath.Join(dir, "queue.db")
	q := open(t, queue.Config{Path: path, Reserve: 512 << 10})
	for i := range 1000 {
		put(t, q, text(queue.Normal, fmt.Sprint("m", i, strings.Repeat(" ", 1000)))...)
	}
	others := fillUp(t, dir)

	var refused error
	for i := 0; i < 1000 && refused == nil; i++ { // what the file has free already can be used
		_, refused = q.Put(t.Context(), text(queue.Normal, fmt.Sprint("n", i, strings.Repeat(" ", 1000)))...)
	}
	if !errors.Is(refused, queue.ErrDiskFull) {
		t.Fatalf("Put on a full disk: %v, want ErrDiskFull", refused)
	}
	// Scattered over the file, each takes a new copy of a page of its own.
	gone := map[string]bool{}
	for i := range 64 {
		if err := q.Release(uint64(1 + 15*i)); err != nil {
			t.Fatal(err)
		}
		gone[fmt.Sprint("m", 15*i)] = true
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatalf("releasing scattered messages on a full disk: %v", err)
	}
	r := q.Reader()
	var want []string
	for i := range 1000 {
		if name := fmt.Sprint("m", i); !gone[name] {
			want = append(want, name)
		}
	}
	for i, m := range next(t, r, len(want)) {
		if strings.TrimSpace(string(m.Payload)) != want[i] {
			t.Fatalf("Next = %.10s, want %s", m.Payload, want[i])
		}
		if err := q.Release(m.Seq); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			if err := q.Sync(t.Context()); err != nil {
				t.Fatalf("releasing on a full disk: %v", err)
			}
		}
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := q.Stats(); got.Released != 1000 || got.Releasing != 0 {
		t.Errorf("Stats = %+v, want 1000 released", got)
	}
	if err := q.Err(); err != nil {
		t.Errorf("Err = %v: a full disk is no failure", err)
	}
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	put(t, q, text(queue.Normal, "after")...)
}

// On a disk without room for a queue file, Open says so and leaves nothing behind that the next start would trip over.
func TestNoRoomForANewQueue(t *testing.T) {
	dir := smallDisk(t, "1m")
	path := filepath.Join(dir, "queue.db")
	others := fillUp(t, dir)
	if _, err := queue.Open(queue.Config{Path: path}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Open: %v, want ENOSPC", err)
	}
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	q := open(t, queue.Config{Path: path, Reserve: 64 << 10})
	put(t, q, text(queue.Normal, "x")...)
}
