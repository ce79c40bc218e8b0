package queue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

func TestResend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path, KeepReleased: 64 << 10, ReleaseWait: time.Hour})
	for i := range 8 {
		m := text(queue.Alarm, fmt.Sprint("reading ", i+1))[0]
		m.Retain, m.Expires = true, time.Now().Add(time.Hour)
		put(t, q, m)
	}
	r := q.Reader()
	first := next(t, r, 8)
	if err := q.Release(1, 2, 3, 4, 5); err != nil {
		t.Fatal(err)
	}
	if err := q.Drop(queue.ReasonPoison, 6); err != nil {
		t.Fatal(err)
	}
	// 2 to 5 were released, 6 was dropped, 7 and 8 still wait, and 9 was never given.
	n, missing, err := q.Resend(t.Context(), 2, 9)
	if n != 4 || missing != 1 || err != nil {
		t.Fatalf("Resend(2, 9) = %d, %d missing, %v; want 4, 1 missing", n, missing, err)
	}
	for i, m := range next(t, q.Reader(), 6)[2:] {
		want := first[i+1]
		want.Seq, want.Lane, want.Retain, want.Expires, want.Repeat = m.Seq, queue.Bulk, false, time.Time{}, true
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("repeat %d (-want +got):\n%s", i+1, diff)
		}
	}
	if n, missing, err := q.Resend(t.Context(), 2, 5); n != 0 || missing != 0 || err != nil {
		t.Errorf("Resend while the repeats wait = %d, %d missing, %v; want nothing to do", n, missing, err)
	}
	// Repeats are not kept once more.
	kept := q.Stats().Kept
	if err := q.Release(9, 10, 11, 12); err != nil {
		t.Fatal(err)
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := q.Stats(); got.Kept != kept || got.Messages != 2 {
		t.Errorf("after the repeats were released %+v are kept and %d messages wait, want %+v and 2", got.Kept, got.Messages, kept)
	}
	if _, _, err := q.Resend(t.Context(), 5, 4); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("Resend(5, 4): %v, want ErrInvalid", err)
	}
}

// What is kept stays below its bound, over a restart too, and goes away with the setting.
func TestKeptIsBounded(t *testing.T) {
	cfg := queue.Config{Path: filepath.Join(t.TempDir(), "queue.db"), KeepReleased: 16 << 10}
	const all = 400
	fill := func(q *queue.Queue) {
		for range all / 50 {
			first := put(t, q, kilobytes(queue.Normal, "t", 0, 50)...)
			for i := range uint64(50) {
				if err := q.Release(first + i); err != nil {
					t.Fatal(err)
				}
			}
			if err := q.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	q, err := queue.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(q)
	before := q.Stats().Kept
	q.Close()
	if before.Bytes > cfg.KeepReleased || before.Bytes < cfg.KeepReleased-2<<10 || before.Last != all {
		t.Errorf("kept %+v, want nearly %d bytes up to %d", before, cfg.KeepReleased, all)
	}

	if q, err = queue.Open(cfg); err != nil {
		t.Fatal(err)
	}
	if got := q.Stats().Kept; got != before {
		t.Errorf("after a restart %+v are kept, want %+v", got, before)
	}
	n, missing, err := q.Resend(t.Context(), 1, all)
	if want := int(before.Last - before.First + 1); n != want || missing != all-want || err != nil {
		t.Errorf("Resend = %d, %d missing, %v; want %d, %d missing", n, missing, err, want, all-want)
	}
	q.Close()

	cfg.KeepReleased = 0
	q = open(t, cfg)
	if got := q.Stats().Kept; got != (queue.KeptStats{}) {
		t.Errorf("with the setting off %+v are kept", got)
	}
	if _, missing, err := q.Resend(t.Context(), 1, 10); missing != 10 || err != nil {
		t.Errorf("with the setting off %d of 10 are missing, %v", missing, err)
	}
}

// A full queue takes as many repeats as it has room for, and drops nothing.
func TestResendIntoAFullQueue(t *testing.T) {
	q := open(t, queue.Config{MaxBytes: 64 << 10, KeepReleased: 1 << 20, ReleaseWait: time.Hour})
	first := put(t, q, kilobytes(queue.Normal, "t", 0, 25)...)
	for i := range uint64(25) {
		if err := q.Release(first + i); err != nil {
			t.Fatal(err)
		}
	}
	put(t, q, kilobytes(queue.Normal, "t", 0, 25)...)
	put(t, q, kilobytes(queue.Normal, "t", 0, 25)...)
	before := q.Stats().Messages
	if n, missing, err := q.Resend(t.Context(), first, first+24); n != 0 || missing != 25 || !errors.Is(err, queue.ErrFull) {
		t.Errorf("Resend = %d, %d missing, %v; want ErrFull", n, missing, err)
	}
	if s := q.Stats(); s.Messages != before || len(s.Losses) != 0 {
		t.Errorf("%d messages and losses %v, want %d and none", s.Messages, s.Losses, before)
	}
}

// What is released while a resend goes on is neither missing nor sent again.
func TestResendWhileTheQueueDrains(t *testing.T) {
	q := open(t, queue.Config{Path: filepath.Join(t.TempDir(), "queue.db"), KeepReleased: 256 << 10})
	const messages = 400
	for i := range messages {
		put(t, q, text(queue.Normal, fmt.Sprint("reading ", i+1))[0])
	}
	released := make(chan error, 1)
	go func() {
		var err error
		for seq := uint64(1); seq <= messages && err == nil; seq++ {
			if err = q.Release(seq); err == nil && seq%8 == 0 {
				err = q.Sync(context.Background())
			}
		}
		released <- err
	}()
	for again, done := 0, false; !done; {
		select {
		case err := <-released:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
		n, missing, err := q.Resend(t.Context(), 1, messages)
		if err != nil || missing != 0 {
			t.Fatalf("Resend = %d, %d missing, %v; want none missing", n, missing, err)
		}
		if again += n; again > messages {
			t.Fatalf("%d of %d messages were put in again", again, messages)
		}
	}
}
