package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/fieldpost/fieldpost/queue"
)

// fill makes a queue of n messages over three lanes, of which every tenth is released, and stops it. It returns the
// payloads that are left.
func fill(t *testing.T, path string, n int) map[string]bool {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: path, MaxBytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	var msgs []queue.Message
	for i := range n {
		m := text(queue.Lane(1+i%3), fmt.Sprintf("%d-%s", i, strings.Repeat("x", i%200)))[0]
		m.Source = fmt.Sprintf("source %d", i%5)
		msgs = append(msgs, m)
		want[string(m.Payload)] = true
	}
	first := put(t, q, msgs...)
	for i := 0; i < n; i += 10 {
		if err := q.Release(first + uint64(i)); err != nil {
			t.Fatal(err)
		}
		delete(want, string(msgs[i].Payload))
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

// unclean makes the lock file say that the last user did not close the queue.
func unclean(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path+".lock", []byte("pid 1\nrunning 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// set returns the payloads of all messages but the loss receipts.
func set(t *testing.T, q *queue.Queue) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for m, err := range q.All() {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		if m.Topic != "fieldpost/loss" {
			got[string(m.Payload)] = true
		}
	}
	return got
}

func damagedFiles(t *testing.T, path string) []string {
	t.Helper()
	names, err := filepath.Glob(path + ".damaged-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFlippedBitsAreFoundAndTheRestIsSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	want := fill(t, path, 2000)
	q := open(t, queue.Config{Path: path})
	old := q.Epoch()
	q.Close()
	var victim string
	edit(t, path, func(b []byte) []byte {
		victim = "1778-" + strings.Repeat("x", 1778%200)
		at := strings.Index(string(b), victim)
		if at < 0 {
			t.Fatal("the victim is not in the file")
		}
		for ; at >= 0; at = strings.Index(string(b), victim) { // also in pages that are free
			b[at+50] ^= 4
		}
		return b
	})
	unclean(t, path)
	q = open(t, queue.Config{Path: path})
	rec := q.Recovery()
	if rec == nil || !errors.Is(rec.Damage, queue.ErrDamaged) || rec.Saved != len(want)-1 || rec.Lost != 1 {
		t.Fatalf("Recovery = %+v, want %d saved and 1 lost", rec, len(want)-1)
	}
	delete(want, victim)
	if diff := cmp.Diff(want, set(t, q)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if names := damagedFiles(t, path); len(names) != 1 || names[0] != rec.SetAside {
		t.Errorf("set aside: %v, want %s", names, rec.SetAside)
	}
	if q.Epoch() == old {
		t.Error("the new file has the old epoch")
	}
	m, err := q.Get(2)
	if err != nil || m.ID != (queue.ID{Epoch: old, Seq: 2}) || m.Source != "source 1" || m.Time.IsZero() {
		t.Errorf("a saved message = %+v, %v; want its old ID, source and time", m, err)
	}
	q.Close()
	q = open(t, queue.Config{Path: path})
	if names := damagedFiles(t, path); len(names) != 1 {
		t.Errorf("the next start recovers again: %v", names)
	}
	if again := q.Recovery(); again == nil || again.SetAside != rec.SetAside || again.Lost != rec.Lost {
		t.Errorf("the next start tells %+v, want %+v: nobody was told", again, rec)
	}
	if got := lossReceipts(t, q); len(got) != 1 || got[0].Reason != queue.ReasonDamaged || got[0].Messages != 1 {
		t.Errorf("loss receipts = %+v, want one of one damaged message", got)
	}
}

// lossReceipts returns what the receipts in the queue say.
func lossReceipts(t *testing.T, q *queue.Queue) []queue.Receipt {
	t.Helper()
	var list []queue.Receipt
	for m, err := range q.All() {
		if err != nil {
			t.Fatal(err)
		}
		if m.Topic == "fieldpost/loss" {
			var r queue.Receipt
			if err := json.Unmarshal(m.Payload, &r); err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
	}
	return list
}

// After a clean stop the file is not read through, but a damaged record is found when its turn comes.
func TestDamageFoundByTheReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path})
	put(t, q, text(queue.Normal, "one", "two", "three")...)
	q.Close()
	edit(t, path, func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), "two", "tvo")) })
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := words(next(t, q.Reader(), 2)), "one three"; got != want {
		t.Errorf("Next = %q, want %q", got, want)
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []queue.Loss{{Reason: queue.ReasonDamaged, Lane: queue.Normal, Messages: 1}}
	if got := q.Stats().Losses; !cmp.Equal(got, want) {
		t.Errorf("Losses = %v, want %v", got, want)
	}
	q.Close()
	check(t, path)
}

// A check in another process decides; one that dies or hangs counts as damage, one of a newer file does not.
func TestVerifyDecides(t *testing.T) {
	for name, c := range map[string]struct {
		verify  func(context.Context, string) error
		damaged bool
	}{
		"whole":   {func(context.Context, string) error { return nil }, false},
		"damaged": {func(context.Context, string) error { return fmt.Errorf("%w: x", queue.ErrDamaged) }, true},
		"killed":  {func(context.Context, string) error { return errors.New("signal: killed") }, true},
		"hangs":   {func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			want := fill(t, path, 50)
			called := false
			cfg := queue.Config{Path: path, VerifyTime: 1, Verify: func(ctx context.Context, path string) error {
				called = true
				return c.verify(ctx, path)
			}}
			open(t, cfg).Close()
			if called {
				t.Error("a cleanly stopped queue was verified")
			}
			unclean(t, path)
			q := open(t, cfg)
			if !called {
				t.Error("Verify was not called after an unclean stop")
			}
			if damaged := q.Recovery() != nil; damaged != c.damaged {
				t.Errorf("Recovery = %+v, want damage %v", q.Recovery(), c.damaged)
			}
			if diff := cmp.Diff(want, set(t, q)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// A file that ended three starts is set aside, though the check finds nothing.
func TestNoBootLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	want := fill(t, path, 50)
	for starts, damaged := range map[int]bool{2: false, 3: true} {
		if err := os.WriteFile(path+".lock", fmt.Appendf(nil, "pid 1\nopening %d\n", starts), 0o600); err != nil {
			t.Fatal(err)
		}
		q := open(t, queue.Config{Path: path})
		if got := q.Recovery() != nil; got != damaged {
			t.Errorf("after %d starts that died: Recovery = %+v", starts, q.Recovery())
		}
		if err := q.RecoveryTold(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, set(t, q)); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		q.Close()
	}
}

func TestNewerFormatIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	fill(t, path, 10)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte{9}) }); err != nil {
		t.Fatal(err)
	}
	db.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if i == 2 {
			unclean(t, path)
		}
		_, err := queue.Open(queue.Config{Path: path})
		var format *queue.FormatError
		if !errors.As(err, &format) || format.Got != 9 || format.Want != 3 {
			t.Errorf("Open: %v, want a FormatError", err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !cmp.Equal(before, after) {
		t.Errorf("the file has changed (%v)", err)
	}
	if names := damagedFiles(t, path); len(names) > 0 {
		t.Errorf("set aside: %v", names)
	}
}

func TestWrongModesAreRefusedWithTheCure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "queue.db")
	open(t, queue.Config{Path: path}).Close()
	for _, c := range []struct {
		name string
		mode fs.FileMode
		back fs.FileMode
		cure string
	}{
		{path, 0o644, 0o600, "chmod 600 " + path},
		{filepath.Dir(path), 0o777, 0o700, "chmod o-w " + filepath.Dir(path)},
	} {
		if err := os.Chmod(c.name, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := queue.Open(queue.Config{Path: path}); err == nil || !strings.Contains(err.Error(), c.cure) {
			t.Errorf("mode %v of %s: %v, want the advice %q", c.mode, c.name, err, c.cure)
		}
		if err := os.Chmod(c.name, c.back); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileRemovedOrReplacedWhileInUse(t *testing.T) {
	for name, act := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error { os.Remove(path); return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue.db")
			q, err := queue.Open(queue.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			put(t, q, text(queue.Normal, "x")...)
			if err := act(path); err != nil {
				t.Fatal(err)
			}
			if _, err := q.Put(t.Context(), text(queue.Normal, "y")...); !errors.Is(err, queue.ErrFailed) {
				t.Errorf("Put: %v, want ErrFailed", err)
			}
			<-q.Done()
			if err := q.Err(); !errors.Is(err, queue.ErrFailed) || !strings.Contains(err.Error(), path) {
				t.Errorf("Err = %v, want ErrFailed and the path", err)
			}
		})
	}
}
