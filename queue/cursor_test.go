package queue_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

func TestCursorIsStoredWithItsMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path})
	if got, err := q.Cursor("tail:log"); got != nil || err != nil {
		t.Errorf("before any PutAt: got %q, %v, want nothing", got, err)
	}
	put(t, q, text(queue.Normal, "before")...)
	for i, word := range []string{"one", "two"} {
		first, err := q.PutAt(t.Context(), queue.Cursor{Name: "tail:log", Value: []byte(word)}, text(queue.Normal, word)...)
		if err != nil || first != uint64(i)+2 {
			t.Fatalf("PutAt: got %d, %v, want %d", first, err, i+2)
		}
	}
	if first, err := q.PutAt(t.Context(), queue.Cursor{Name: "tail:empty"}); first != 0 || err != nil {
		t.Errorf("PutAt without messages: %d, %v", first, err)
	}
	q.Close()
	q = open(t, queue.Config{Path: path})
	for name, want := range map[string]string{"tail:log": "two", "tail:empty": ""} {
		if got, err := q.Cursor(name); got == nil || string(got) != want || err != nil {
			t.Errorf("%s after reopening: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got, want := stored(t, q), "before one two"; got != want {
		t.Errorf("messages: got %q, want %q", got, want)
	}
}

func TestCursorStaysWhenItsMessagesAreRefused(t *testing.T) {
	q := open(t, queue.Config{MaxBytes: 1 << 20, Full: queue.Refuse})
	name := "tail:log"
	big := queue.Message{Topic: "t", Payload: bytes.Repeat([]byte("x"), 100<<10)}
	accepted := 0
	for i := 0; ; i++ {
		_, err := q.PutAt(t.Context(), queue.Cursor{Name: name, Value: []byte(strconv.Itoa(i))}, big)
		if errors.Is(err, queue.ErrFull) {
			break
		}
		if err != nil || i > 20 {
			t.Fatalf("put %d: got %v, want ErrFull in time", i, err)
		}
		accepted++
	}
	got, err := q.Cursor(name)
	if want := strconv.Itoa(accepted - 1); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %s: that of the last message that was taken", got, err, want)
	}
	for _, c := range []queue.Cursor{{}, {Name: strings.Repeat("n", 256)}, {Name: "n", Value: make([]byte, 4097)}} {
		if _, err := q.PutAt(t.Context(), c); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("a cursor with %d bytes of name and %d of value: got %v, want ErrInvalid", len(c.Name), len(c.Value), err)
		}
	}
}

// What a damaged file is saved into has the cursors, else a producer would begin anew and store everything twice.
func TestCursorSurvivesDamageElsewhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	fill(t, path, 200)
	q := open(t, queue.Config{Path: path})
	if _, err := q.PutAt(t.Context(), queue.Cursor{Name: "tail:log", Value: []byte("at 77")}, text(queue.Normal, "the victim")...); err != nil {
		t.Fatal(err)
	}
	q.Close()
	edit(t, path, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("the victim"), []byte("the viktim")) })
	unclean(t, path)
	q = open(t, queue.Config{Path: path})
	if q.Recovery() == nil {
		t.Fatal("the damage was not noticed")
	}
	if got, err := q.Cursor("tail:log"); string(got) != "at 77" || err != nil {
		t.Errorf("got %q, %v, want the cursor", got, err)
	}
	q.Close()
	edit(t, path, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("at 77"), []byte("at 78")) })
	q = open(t, queue.Config{Path: path})
	if got, err := q.Cursor("tail:log"); got != nil || !errors.Is(err, queue.ErrDamaged) {
		t.Errorf("a flipped bit: got %q, %v, want ErrDamaged", got, err)
	}
}

// Cursor and message are never apart, whenever the process is killed: the child counts in both.
func TestKillBetweenCursorAndMessage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	for round := range 5 {
		killAfterWords(t, child(t, "cursor", path), 20)
		q, err := queue.Open(queue.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		value, err := q.Cursor("count")
		if err != nil {
			t.Fatal(err)
		}
		want, _ := strconv.Atoi(string(value))
		if got := q.Stats().Messages; got != want || want < 20*(round+1) {
			t.Errorf("round %d: the cursor counts %d and there are %d messages, want the same and at least %d", round, want, got, 20*(round+1))
		}
		n := 0
		for m, err := range q.All() {
			if n++; err != nil || string(m.Payload) != fmt.Sprint(n) {
				t.Fatalf("message %d: got %q, %v", n, m.Payload, err)
			}
		}
		q.Close()
	}
}
