package queue_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// A large backlog must not stay in the process's memory as pages of the file's map.
func TestBacklogIsNotHeldInMemory(t *testing.T) {
	t.Parallel()
	const batches, each = 4*64 - 1, 300 // 14 MB; the last pages that were let go are 63 commits old
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: path, MaxBytes: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	payload := bytes.Repeat([]byte("x"), 100)
	for range batches {
		msgs := make([]queue.Message, each)
		for i := range msgs {
			msgs[i] = queue.Message{Topic: "site/a", QoS: 1, Payload: payload}
		}
		if _, err := q.Put(t.Context(), msgs...); err != nil {
			t.Fatal(err)
		}
	}
	size := q.Stats().FileBytes
	if got := mappedBytes(t, path); got > size/2 {
		t.Errorf("%d of the file's %d bytes are in memory after the messages came in", got, size)
	}
}

// mappedBytes is how much of the file's map is in this process's memory, see proc_pid_smaps(5).
func mappedBytes(t *testing.T, path string) (total int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	found, of := false, false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.Contains(name, "-"): // the first line of a mapping: 7f00-7f01 r--s …
			of = strings.HasSuffix(line, path)
			found = found || of
		case of && name == "Rss":
			var kib int64
			if _, err := fmt.Sscan(value, &kib); err != nil {
				t.Fatal(err)
			}
			total += kib << 10
		}
	}
	if !found {
		t.Fatalf("%s is not mapped", path)
	}
	return total
}
