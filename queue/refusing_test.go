package queue_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// refused puts messages until that fails with want.
func refused(t *testing.T, q *queue.Queue, want error) {
	t.Helper()
	var err error
	for range 5000 { // what the file has free already can be used
		if _, err = q.Put(t.Context(), text(queue.Normal, strings.Repeat("x", 1000))...); err != nil {
			break
		}
	}
	if !errors.Is(err, want) || !errors.Is(q.Refusing(), want) {
		t.Fatalf("Put: %v, Refusing: %v; want %v", err, q.Refusing(), want)
	}
}

func TestRefusingEndsWithTheRoom(t *testing.T) {
	dir := smallDisk(t, "6m")
	synctest.Test(t, func(t *testing.T) {
		q := open(t, queue.Config{Path: filepath.Join(dir, "queue.db"), Reserve: 512 << 10})
		defer q.Close()
		put(t, q, text(queue.Normal, "a")...)
		if err := q.Refusing(); err != nil {
			t.Fatalf("at first: %v", err)
		}
		for _, cure := range []string{"a Put", "nobody puts"} {
			others := fillUp(t, dir)
			refused(t, q, queue.ErrDiskFull)
			time.Sleep(2 * time.Minute)
			if err := q.Refusing(); !errors.Is(err, queue.ErrDiskFull) {
				t.Errorf("still full: Refusing: %v", err)
			}
			if err := os.Remove(others); err != nil {
				t.Fatal(err)
			}
			if cure == "a Put" {
				put(t, q, text(queue.Normal, "b")...)
			} else {
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if err := q.Refusing(); err != nil {
				t.Errorf("there is room again, %s: %v", cure, err)
			}
		}
	})
}
