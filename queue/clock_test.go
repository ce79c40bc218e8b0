package queue_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

func TestAgeIsMeasuredWithTheClockThatDoesNotJump(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		put(t, q, text(queue.Normal, "old")...)
		time.Sleep(30 * time.Minute)
		m := text(queue.Normal, "short")[0]
		m.Expires = time.Now().Add(10 * time.Minute)
		put(t, q, m, text(queue.Normal, "young")[0])
		// The clock jumps by 56 years. Nobody is older for that.
		if err := q.SetClock(t.Context(), time.Now().AddDate(56, 0, 0), queue.TrustKnown); err != nil {
			t.Fatal(err)
		}
		if got, want := words(next(t, q.Reader(), 3)), "old short young"; got != want {
			t.Errorf("after the clock has jumped = %q, want %q", got, want)
		}
		time.Sleep(20 * time.Minute)
		if got, want := words(next(t, q.Reader(), 2)), "old young"; got != want {
			t.Errorf("after the expiry of one = %q, want %q", got, want)
		}
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if got, want := heads(t, q), "young"; got != want {
			t.Errorf("after MaxAge = %q, want %q", got, want)
		}
		want := []queue.Loss{{queue.ReasonAge, queue.Normal, 1}, {queue.ReasonExpired, queue.Normal, 1}}
		if got := q.Stats().Losses; !cmp.Equal(got, want) {
			t.Errorf("Losses = %v, want %v", got, want)
		}
	})
	check(t, path)
}

// Without a known clock, age is measured all the same; and once it is known, setting it again makes nobody older.
func TestAgeWithinABoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		put(t, q, text(queue.Normal, "first")...)
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		if got := heads(t, q); got != "" {
			t.Errorf("after MaxAge without a known clock %q are left", got)
		}
		now := time.Now()
		for range 2 {
			if err := q.SetClock(t.Context(), now, queue.TrustKnown); err != nil {
				t.Fatal(err)
			}
			put(t, q, text(queue.Normal, "second")...)
			now = now.AddDate(1, 0, 0)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got, want := heads(t, q), "second second"; got != want {
			t.Errorf("after the clock was set a year ahead %q are left, want %q", got, want)
		}
	})
	check(t, path)
}

func TestAgeOverBoots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	boot := func(n byte) queue.Config {
		return queue.Config{Path: path, MaxAge: time.Hour, Boot: [16]byte{n}, SinceBoot: time.Minute}
	}
	q := open(t, boot(1))
	put(t, q, text(queue.Normal, "unknown time")...)
	q.Close()
	q = open(t, boot(2))
	if err := q.SetClock(t.Context(), day, queue.TrustKnown); err != nil {
		t.Fatal(err)
	}
	put(t, q, text(queue.Normal, "known time")...)
	q.Close()
	q = open(t, boot(3))
	if got, want := words(next(t, q.Reader(), 2)), "unknown time known time"; got != want {
		t.Errorf("while the clock isn't known = %q, want %q", got, want)
	}
	if err := q.SetClock(t.Context(), day.Add(61*time.Minute), queue.TrustKnown); err != nil {
		t.Fatal(err)
	}
	put(t, q, text(queue.Normal, "new")...)
	if got, want := words(next(t, q.Reader(), 2)), "unknown time new"; got != want {
		t.Errorf("once it is = %q, want %q", got, want)
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := stored(t, q), "unknown time new"; got != want {
		t.Errorf("left are %q, want %q", got, want)
	}
}

func TestStampsAreCorrectedWhenTheClockBecomesKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	day := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	synctest.Test(t, func(t *testing.T) {
		cfg := queue.Config{Path: path, Boot: [16]byte{1}, SinceBoot: time.Minute}
		q, err := queue.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		put(t, q, text(queue.Normal, "unknown")...)
		r := q.Reader()
		if m := next(t, r, 1)[0]; m.Trust != queue.TrustUnknown || m.Time.Year() != 2000 || m.Mono != time.Minute {
			t.Errorf("before: %v %v %v, want the machine's clock", m.Time, m.Trust, m.Mono)
		}
		time.Sleep(time.Hour)
		if err := q.SetClock(t.Context(), day, queue.TrustKnown); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		put(t, q, text(queue.Normal, "known")...)
		want := []time.Time{day.Add(-time.Hour), day.Add(time.Minute)}
		for range 2 {
			for i, m := range next(t, q.Reader(), 2) {
				if !m.Time.Equal(want[i]) || m.Trust != queue.TrustKnown {
					t.Errorf("%s: %v %v, want %v", m.Payload, m.Time, m.Trust, want[i])
				}
			}
			q.Close() // what was learned about this boot outlives the process
			if q, err = queue.Open(cfg); err != nil {
				t.Fatal(err)
			}
		}
		q.Close()
	})
	check(t, path)
}
