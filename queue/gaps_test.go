package queue_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// TestGapsAreCounted: a page that can't be read is counted by the sequences that are missing around it, not taken for empty.
func TestGapsAreCounted(t *testing.T) {
	const messages = 400
	pristine := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: pristine})
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		put(t, q, text(queue.Normal, fmt.Sprint(i, strings.Repeat(" ", 200)))...)
	}
	q.Close()
	lost, exact := 0, 0
	for seed := range uint64(20) {
		path := filepath.Join(t.TempDir(), "queue.db")
		copyFile(t, pristine, path)
		edit(t, path, holes(seed))
		unclean(t, path)
		q := open(t, queue.Config{Path: path})
		rec := q.Recovery()
		if rec == nil {
			continue // it has hit nothing that is in use
		}
		if !rec.More {
			exact++
			if rec.Saved+rec.Lost != messages || rec.Unsure > rec.Lost {
				t.Errorf("seed %d: %d saved and %d lost, want %d together", seed, rec.Saved, rec.Lost, messages)
			}
		}
		lost += rec.Lost
		var said uint64
		for _, l := range q.Stats().Losses {
			said += l.Messages
		}
		if said != uint64(rec.Lost) {
			t.Errorf("seed %d: %d are counted as dropped, want %d as in Recovery", seed, said, rec.Lost)
		}
	}
	if lost == 0 || exact < 5 {
		t.Errorf("%d lost in all, %d files counted exactly: the holes have hit nothing", lost, exact)
	}
	for name, cut := range map[string]func([]byte) []byte{
		"half":  func(b []byte) []byte { return b[:len(b)/2] },
		"wiped": func([]byte) []byte { return nil },
	} {
		path := filepath.Join(t.TempDir(), "queue.db")
		copyFile(t, pristine, path)
		edit(t, path, cut)
		unclean(t, path)
		rec := open(t, queue.Config{Path: path}).Recovery()
		if rec == nil || !rec.More && rec.Saved+rec.Lost < messages {
			t.Errorf("%s: %+v; want all counted, or that more were lost", name, rec)
		}
	}
}

// holes puts noise into some places behind the meta pages.
func holes(seed uint64) func([]byte) []byte {
	return func(b []byte) []byte {
		r := rand.New(rand.NewPCG(seed, 2))
		for range 4 {
			noise(r, b[8192+r.IntN(len(b)-8192-600):][:500])
		}
		return b
	}
}

// TestGapsAmongLanes: what was delivered of another lane, with sequences between those that can't be read, is counted as lost, and as unsure.
func TestGapsAmongLanes(t *testing.T) {
	const messages = 400
	pristine := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: pristine})
	if err != nil {
		t.Fatal(err)
	}
	var mixed []queue.Message
	for i := range messages {
		mixed = append(mixed, text(queue.Normal, fmt.Sprint(i, strings.Repeat(" ", 200)))...)
		mixed = append(mixed, text(queue.Alarm, "delivered")...)
	}
	first := put(t, q, mixed...)
	for i := range uint64(messages) {
		if err := q.Release(first + 2*i + 1); err != nil {
			t.Fatal(err)
		}
	}
	q.Close()
	tooMany := 0
	for seed := range uint64(20) {
		path := filepath.Join(t.TempDir(), "queue.db")
		copyFile(t, pristine, path)
		edit(t, path, holes(seed))
		unclean(t, path)
		q := open(t, queue.Config{Path: path})
		rec := q.Recovery()
		if rec == nil || rec.More {
			continue
		}
		lost := messages - q.Stats().Lanes[queue.Normal].Waiting
		if lost < rec.Lost-rec.Unsure || lost > rec.Lost {
			t.Errorf("seed %d: %d are lost, which is not from %d to %d", seed, lost, rec.Lost-rec.Unsure, rec.Lost)
		}
		if rec.Lost > lost {
			tooMany++
		}
	}
	if tooMany == 0 {
		t.Error("no file of which too many are counted: the test shows nothing")
	}
}

func TestRecoveryIsToldUntilSomebodyKnows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	fill(t, path, 600)
	edit(t, path, func([]byte) []byte { return []byte("no queue") })
	unclean(t, path)
	var first *queue.Recovery
	for i := range 3 { // such as queue stats, twice, and then run
		q, err := queue.Open(queue.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		rec := q.Recovery()
		if first == nil {
			first = rec
		}
		if rec == nil || rec.Damage.Error() != first.Damage.Error() || rec.SetAside != first.SetAside || rec.Unsure != first.Unsure || rec.More != first.More {
			t.Fatalf("open %d: got %+v, want %+v", i+1, rec, first)
		}
		if i == 2 {
			if err := q.RecoveryTold(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		q.Close()
	}
	if rec := open(t, queue.Config{Path: path}).Recovery(); rec != nil {
		t.Errorf("once it was told: %+v", rec)
	}
}
