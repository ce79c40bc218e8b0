package queue_test

import (
	"errors"
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
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Open(queue.Config{Path: path}); !errors.Is(err, queue.ErrReadOnly) || strings.Contains(err.Error(), "chown") {
		t.Errorf("Open: %v; want ErrReadOnly, and no advice about the owner", err)
	}
}
