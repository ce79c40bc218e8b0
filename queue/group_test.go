package queue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

func TestProducersShareCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, CommitWait: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		var wg sync.WaitGroup
		seqs := make([]uint64, 64)
		for p := range seqs {
			wg.Go(func() { seqs[p] = put(t, q, text(queue.Normal, fmt.Sprint(p))...) })
		}
		wg.Wait()
		if s := q.Stats(); s.Commits != 1 || s.Accepted != 64 {
			t.Errorf("%d commits for %d messages, want 1 for 64", s.Commits, s.Accepted)
		}
		for p, seq := range seqs {
			if m, err := q.Get(seq); err != nil || string(m.Payload) != fmt.Sprint(p) {
				t.Errorf("Get(%d) = %q, %v; want %d", seq, m.Payload, err, p)
			}
		}
	})
	check(t, path)
}

// One refused Put doesn't hurt those that share its commit.
func TestRefusalIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, MaxBytes: 64 << 10, Full: queue.Refuse, CommitWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		var wg sync.WaitGroup
		var mu sync.Mutex
		got := map[bool]int{}
		for p := range 4 {
			wg.Go(func() {
				n := 20 // KiB, of which three fit
				_, err := q.Put(t.Context(), kilobytes(queue.Normal, "t", p*n, n)...)
				if err != nil && !errors.Is(err, queue.ErrFull) {
					t.Error(err)
				}
				mu.Lock()
				got[err == nil]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if s := q.Stats(); got[true] != 3 || s.Messages != 60 || s.Commits != 1 || s.LastSeq != 60 {
			t.Errorf("%v, %d messages up to %d in %d commits; want three Puts of 20 in one", got, s.Messages, s.LastSeq, s.Commits)
		}
	})
	check(t, path)
}

// A Put whose context ends while it waits has stored nothing, and the others of its group are served all the same.
func TestPutGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, CommitWait: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			start := time.Now()
			if _, err := q.Put(short, text(queue.Normal, "given up")...); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Put: %v, want the context's error", err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("Put returned after %v", took)
			}
		})
		synctest.Wait()
		wg.Go(func() { put(t, q, text(queue.Normal, "kept")...) })
		wg.Wait()
		if got := stored(t, q); got != "kept" {
			t.Errorf("stored are %q, want kept", got)
		}
		if _, err := q.Put(short, text(queue.Normal, "late")...); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put with a context that has ended: %v", err)
		}
	})
	check(t, path)
}

func TestSyncDoesNotWaitForOthersAndWritesNothingForNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, CommitWait: 10 * time.Second, ReleaseWait: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		seq := put(t, q, text(queue.Normal, "x")...)
		start, before := time.Now(), q.Stats().Commits
		if err := q.SaveFlight(t.Context(), queue.Flight{Seq: seq, PacketID: 1}, true); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := q.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took, commits := time.Since(start), q.Stats().Commits-before; took != 0 || commits != 1 {
			t.Errorf("%d commits in %v, want one at once", commits, took)
		}
	})
	check(t, path)
}

// A Sync that comes while a commit is being prepared for many producers still waits for the removals before it.
func TestSyncBesideProducers(t *testing.T) {
	q := open(t, queue.Config{Path: filepath.Join(t.TempDir(), "queue.db"), MaxBytes: 64 << 20, ReleaseWait: time.Minute})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				put(t, q, text(queue.Normal, "other")...)
			}
		})
	}
	for i := range 200 {
		if err := q.Release(put(t, q, text(queue.Normal, "mine")...)); err != nil {
			t.Fatal(err)
		}
		if err := q.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := q.Stats().Releasing; n != 0 {
			t.Fatalf("round %d: %d removals are not on disk after Sync", i, n)
		}
	}
}
