package queue_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/queue"
)

// TestLockIsNotLeftToAChild closes a queue while a child, between fork and exec, still has copies of all descriptors.
func TestLockIsNotLeftToAChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err != nil || !strings.HasPrefix(name, path) {
			continue
		}
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err != nil {
			t.Fatal(err)
		}
		held, err := unix.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		copies++
		defer unix.Close(held)
	}
	if copies < 2 {
		t.Fatalf("%d descriptors of the queue were found, want those of the file and of its lock", copies)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if q, err = queue.Open(queue.Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}
