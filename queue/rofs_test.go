package queue_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

func TestOpenOnAReadOnlyFileSystem(t *testing.T) {
	dir := smallDisk(t, "4m")
	path := filepath.Join(dir, "queue.db")
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	remountReadOnly(t, dir)
	if _, err := queue.Open(queue.Config{Path: path}); !errors.Is(err, queue.ErrReadOnly) || strings.Contains(err.Error(), "chown") {
		t.Errorf("Open: %v; want ErrReadOnly, and no advice about the owner", err)
	}
}

func TestOpenReadOnly(t *testing.T) {
	for name, closed := range map[string]bool{"after a clean stop": true, "after a kill": false} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t, "8m")
			path := filepath.Join(dir, "queue.db")
			q, err := queue.Open(queue.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.Put(t.Context(), queue.Message{Topic: "a/1", Payload: []byte("one")}, queue.Message{Topic: "a/2", Payload: []byte("two")}); err != nil {
				t.Fatal(err)
			}
			if closed {
				q.Close()
			} else { // the files as a killed process leaves them
				copyAway(t, q, dir)
			}
			remountReadOnly(t, dir)

			q, err = queue.OpenReadOnly(queue.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			if got := q.Stats().Waiting; got != 2 {
				t.Errorf("got %d messages, want 2", got)
			}
			if m, err := q.Get(2); err != nil || m.Topic != "a/2" || string(m.Payload) != "two" {
				t.Errorf("Get(2): %q %q, %v", m.Topic, m.Payload, err)
			}
			if _, err := q.Put(t.Context(), queue.Message{Topic: "a/3"}); !errors.Is(err, queue.ErrReadOnly) {
				t.Errorf("Put: %v; want ErrReadOnly", err)
			}
			if err := q.Release(1); !errors.Is(err, queue.ErrReadOnly) {
				t.Errorf("Release: %v; want ErrReadOnly", err)
			}
			if err := q.Refusing(); !errors.Is(err, queue.ErrReadOnly) {
				t.Errorf("Refusing: %v; want ErrReadOnly", err)
			}
		})
	}
}

// TestOpenReadOnlyBesideAWriter: what is read-only here may be written to from elsewhere.
func TestOpenReadOnlyBesideAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if _, err := queue.OpenReadOnly(queue.Config{Path: path}); !errors.As(err, new(*queue.LockedError)) {
		t.Errorf("got %v, want a LockedError", err)
	}
}

func TestOpenReadOnlyTellsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	before := bytes.Repeat([]byte("x"), 16<<10)
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.OpenReadOnly(queue.Config{Path: path}); !errors.Is(err, queue.ErrDamaged) || !strings.Contains(err.Error(), "takes writes") {
		t.Errorf("got %v, want ErrDamaged and what to do", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the damaged file was touched: %v", err)
	}
}

func remountReadOnly(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// copyAway leaves the queue's files in dir as they are while it is open, and closes it.
func copyAway(t *testing.T, q *queue.Queue, dir string) {
	t.Helper()
	left := map[string][]byte{}
	for _, name := range []string{"queue.db", "queue.db.lock"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		left[name] = content
	}
	q.Close()
	for name, content := range left {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
