package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

// open opens a queue that is closed, and whose file is checked, when the test ends.
func open(t *testing.T, cfg queue.Config) *queue.Queue {
	t.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(t.TempDir(), "queue.db")
	}
	q, err := queue.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.Close()
		check(t, cfg.Path)
	})
	return q
}

// check fails the test unless the file is whole, for bbolt and for the records' checksums.
func check(t *testing.T, path string) {
	t.Helper()
	if err := queue.VerifyFile(path); err != nil {
		t.Errorf("the file after the test: %v", err)
	}
}

func put(t *testing.T, q *queue.Queue, msgs ...queue.Message) uint64 {
	t.Helper()
	first, err := q.Put(t.Context(), msgs...)
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	return first
}

// text returns messages whose payloads are the words.
func text(lane queue.Lane, words ...string) []queue.Message {
	var msgs []queue.Message
	for _, w := range words {
		msgs = append(msgs, queue.Message{Lane: lane, Topic: "site/" + lane.String(), QoS: 1, Payload: []byte(w)})
	}
	return msgs
}

// next reads n messages.
func next(t *testing.T, r *queue.Reader, n int) []queue.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []queue.Message
	for range n {
		m, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("Next after %q: %v", words(got), err)
		}
		got = append(got, m)
	}
	return got
}

func words(msgs []queue.Message) string {
	var w []string
	for _, m := range msgs {
		w = append(w, string(m.Payload))
	}
	return strings.Join(w, " ")
}

// stored returns the payloads of all messages in the order of delivery.
func stored(t *testing.T, q *queue.Queue) string {
	t.Helper()
	var msgs []queue.Message
	for m, err := range q.All() {
		if err != nil {
			t.Fatalf("All: %v", err)
		}
		msgs = append(msgs, m)
	}
	return words(msgs)
}

func TestMessageSurvivesReopeningWithAllFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path})
	want := queue.Message{
		Lane: queue.Bulk, Topic: "pump-07/vibration/x", QoS: 2, Retain: true, Payload: []byte{0, 1, 2, 255}, Source: "modbus:7",
		Time: time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC), Trust: queue.TrustGuessed, Boot: [16]byte{1, 2, 15: 3}, Mono: 12345 * time.Millisecond,
		Expires: time.Date(2026, 3, 5, 5, 6, 7, 0, time.UTC), Attempts: 3,
		ID: queue.ID{Epoch: [8]byte{9, 8, 7}, Seq: 77},
	}
	want.Seq = put(t, q, want)
	for range 2 {
		got, err := q.Get(want.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Get (-want +got):\n%s", diff)
		}
		if got := next(t, q.Reader(), 1)[0]; !cmp.Equal(want, got) {
			t.Errorf("Next (-want +got):\n%s", cmp.Diff(want, got))
		}
		q.Close()
		q = open(t, queue.Config{Path: path})
	}
}

func TestLanesInOrder(t *testing.T) {
	q := open(t, queue.Config{})
	put(t, q, text(queue.Bulk, "b1", "b2")...)
	put(t, q, text(queue.Normal, "n1")...)
	put(t, q, text(queue.Alarm, "a1")...)
	put(t, q, text(queue.Normal, "n2")...)
	r := q.Reader()
	if got, want := words(next(t, r, 3)), "a1 n1 n2"; got != want {
		t.Errorf("first three = %q, want %q", got, want)
	}
	put(t, q, text(queue.Alarm, "a2")...)
	if got, want := words(next(t, r, 3)), "a2 b1 b2"; got != want {
		t.Errorf("the rest = %q, want %q", got, want)
	}
	if got, want := words(next(t, q.Reader(), 6)), "a1 a2 n1 n2 b1 b2"; got != want {
		t.Errorf("a new reader = %q, want %q", got, want)
	}
}

func TestReleaseIsKnownToReadersAtOnceAndDurableAfterSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path, ReleaseWait: time.Hour})
	first := put(t, q, text(queue.Normal, "1", "2", "3", "4")...)
	if err := q.Release(first, first+2, first, 999); err != nil {
		t.Fatal(err)
	}
	if got, want := words(next(t, q.Reader(), 2)), "2 4"; got != want {
		t.Errorf("reader after the release = %q, want %q", got, want)
	}
	if _, err := q.Get(first); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Get of a released message: %v, want ErrNotFound", err)
	}
	if err := q.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := q.Stats(); got.Messages != 2 || got.Released != 2 || got.Releasing != 0 {
		t.Errorf("Stats after Sync = %+v", got)
	}
	q.Close()
	q = open(t, queue.Config{Path: path})
	if got, want := stored(t, q), "2 4"; got != want {
		t.Errorf("after reopening = %q, want %q", got, want)
	}
	if got, want := put(t, q, text(queue.Normal, "5")...), first+4; got != want {
		t.Errorf("sequence after reopening = %d, want %d", got, want)
	}
}

func TestSequencesGoOnInAnEmptyQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	var last uint64
	for range 3 {
		q := open(t, queue.Config{Path: path})
		seq := put(t, q, text(queue.Normal, "x")...)
		if seq != last+1 {
			t.Errorf("sequence %d after %d", seq, last)
		}
		last = seq
		q.Release(seq)
		q.Close()
	}
}

// In a bubble, a Next that waits must not stop virtual time, and a release must be on disk within ReleaseWait.
func TestInVirtualTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, ReleaseWait: 3 * time.Second, CommitWait: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan queue.Message)
		go func() {
			m, err := q.Reader().Next(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- m
		}()
		time.Sleep(24 * time.Hour)
		start := time.Now()
		put(t, q, text(queue.Normal, "x")...)
		if waited := time.Since(start); waited != 100*time.Millisecond {
			t.Errorf("Put took %v, want CommitWait", waited)
		}
		m := <-got
		q.Release(m.Seq)
		time.Sleep(2900 * time.Millisecond)
		synctest.Wait()
		if n := q.Stats().Releasing; n != 1 {
			t.Errorf("before ReleaseWait %d releases wait, want 1", n)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if n := q.Stats().Releasing; n != 0 {
			t.Errorf("after ReleaseWait %d releases wait, want 0", n)
		}
		q.Close()
	})
	check(t, path)
}

func TestSecondUserIsToldWhoHoldsTheQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	open(t, queue.Config{Path: path})
	start := time.Now()
	_, err := queue.Open(queue.Config{Path: path})
	var locked *queue.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("second Open: %v, want a LockedError with pid %d", err, os.Getpid())
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the answer took %v, want at most 2s", took)
	}
}

func TestInvalidMessages(t *testing.T) {
	q := open(t, queue.Config{MaxMessage: 100})
	for name, m := range map[string]queue.Message{
		"no topic": {}, "wildcard": {Topic: "a/+/b"}, "hash": {Topic: "a/#"}, "NUL": {Topic: "a\x00b"}, "not UTF-8": {Topic: "a\xff"},
		"long topic": {Topic: strings.Repeat("x", 65536)}, "QoS 3": {Topic: "a", QoS: 3}, "lane 4": {Topic: "a", Lane: 4},
		"trust 3": {Topic: "a", Trust: 3}, "long source": {Topic: "a", Source: strings.Repeat("x", 256)},
	} {
		if _, err := q.Put(t.Context(), queue.Message{Topic: "fine"}, m); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	var large *queue.TooLargeError
	if _, err := q.Put(t.Context(), queue.Message{Topic: "a", Payload: make([]byte, 100)}); !errors.As(err, &large) || large.Size != 101 {
		t.Errorf("payload beyond the limit: %v, want a TooLargeError of 101 bytes", err)
	}
	if got := stored(t, q); got != "" {
		t.Errorf("refused Puts have left %q", got)
	}
}

func TestFlights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path})
	first := put(t, q, text(queue.Normal, "1", "2", "3")...)
	want := []queue.Flight{{Seq: first, PacketID: 7}, {Seq: first + 1, PacketID: 8, Received: true}, {Seq: first + 2, PacketID: 9}}
	for i, f := range want {
		if err := q.SaveFlight(t.Context(), f, i == 1); err != nil {
			t.Fatal(err)
		}
	}
	q.Release(first)
	q.AddAttempts(first+1, first+1)
	q.Close()
	q = open(t, queue.Config{Path: path})
	got, err := q.Flights()
	if err != nil || !cmp.Equal(got, want[1:]) {
		t.Errorf("Flights after reopening = %v, %v; want %v", got, err, want[1:])
	}
	if m, err := q.Get(first + 1); err != nil || m.Attempts != 2 {
		t.Errorf("Attempts = %d, %v; want 2", m.Attempts, err)
	}
	if err := q.SaveFlight(t.Context(), queue.Flight{Seq: 99}, true); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("SaveFlight of no message: %v, want ErrNotFound", err)
	}
	if err := q.ClearFlights(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := q.Flights(); len(got) != 0 {
		t.Errorf("Flights after ClearFlights = %v", got)
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open(t, queue.Config{Path: filepath.Join(dir, "queue.db")})
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "queue.db"): 0o600, filepath.Join(dir, "queue.db.lock"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestClosedQueue(t *testing.T) {
	q := open(t, queue.Config{})
	waiting := make(chan error, 1)
	go func() {
		_, err := q.Reader().Next(context.Background())
		waiting <- err
	}()
	q.Close()
	q.Close()
	if err := <-waiting; !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Next: %v, want ErrClosed", err)
	}
	if _, err := q.Put(t.Context(), text(queue.Normal, "x")...); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Put: %v, want ErrClosed", err)
	}
	if err := q.Release(1); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Release: %v, want ErrClosed", err)
	}
	if _, err := q.Get(1); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Get: %v, want ErrClosed", err)
	}
	select {
	case <-q.Done():
	default:
		t.Error("Done is open")
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	q, err := queue.Open(queue.Config{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		panic(err)
	}
	defer q.Close()

	ctx := context.Background()
	// The sensor is told "accepted" when Put returns.
	if _, err := q.Put(ctx, queue.Message{Topic: "pump-07/pressure", QoS: 1, Payload: []byte("4.2 bar")}); err != nil {
		panic(err)
	}
	m, err := q.Reader().Next(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(m.Seq, m.Lane, m.Topic, string(m.Payload))
	// The broker has answered: the message may go.
	if err := q.Release(m.Seq); err != nil {
		panic(err)
	}
	if err := q.Sync(ctx); err != nil {
		panic(err)
	}
	fmt.Println(q.Stats().Messages, "left")
	// Output:
	// 1 normal pump-07/pressure 4.2 bar
	// 0 left
}
