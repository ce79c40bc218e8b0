package field

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// Whatever is torn of a commit, what was on disk before it is there still, and the file is whole. Now and then the commit is in it.
func TestTear(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, queueFile)
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	put := func() {
		if _, err := q.Put(t.Context(), queue.Message{Topic: "a", Payload: make([]byte, 3000)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		put()
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	found := map[int]int{}
	for try := range 60 {
		image := filepath.Join(dir, fmt.Sprint("image-", try))
		if err := os.WriteFile(image, after, 0o600); err != nil {
			t.Fatal(err)
		}
		if torn, err := tear(before, image, r); !torn || err != nil {
			t.Fatalf("got %v, %v, want the write torn", torn, err)
		}
		found[count(t, image)]++
	}
	if found[5] == 0 || found[6] == 0 || found[5]+found[6] != 60 {
		t.Errorf("messages in the images: %v, want 5 or 6 in each", found)
	}
	if torn, err := tear(after, path, r); torn || err != nil {
		t.Errorf("without a commit: got %v, %v, want nothing torn", torn, err)
	}
}

// count opens the file of a queue, which must not be damaged, and counts what is in it.
func count(t *testing.T, path string) (n int) {
	q, err := queue.Open(queue.Config{Path: path, Verify: func(_ context.Context, path string) error { return queue.CheckFile(path) }})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if q.Recovery() != nil {
		t.Errorf("%s is damaged: %+v", path, q.Recovery())
	}
	return q.Stats().Messages
}
