package queue_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/fieldpost/fieldpost/queue"
)

func TestFlightOfSeveralMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path})
	first := put(t, q, text(queue.Normal, "1", "2", "3", "4", "5")...)
	reopen := func() {
		t.Helper()
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		q = open(t, queue.Config{Path: path})
	}
	check := func(when string, want ...queue.Flight) {
		t.Helper()
		got, err := q.Flights()
		if err != nil || len(got) != len(want) || len(want) > 0 && !cmp.Equal(got, want) {
			t.Errorf("%s: Flights = %v, %v; want %v", when, got, err, want)
		}
	}
	save := func(f queue.Flight) {
		t.Helper()
		if err := q.SaveFlight(t.Context(), f, true); err != nil {
			t.Fatal(err)
		}
	}
	all := queue.Flight{Seq: first, PacketID: 7, More: []uint64{first + 1, first + 2, first + 4}}
	save(all)
	reopen()
	check("after reopening", all)
	if got := q.Stats().InFlight; got != 4 {
		t.Errorf("%d messages are in flight, want 4", got)
	}

	if err := q.Drop(queue.ReasonPurged, first, first+2); err != nil {
		t.Fatal(err)
	}
	left := queue.Flight{Seq: first + 1, PacketID: 7, More: []uint64{first + 4}}
	check("after two were dropped", left)
	reopen()
	check("after two were dropped, and reopening", left)

	all.Received = true // whoever published it goes on speaking of all
	save(all)
	left.Received = true
	check("after the broker has them", left)
	reopen()
	check("after the broker has them, and reopening", left)

	if err := q.Release(all.Seq, all.More[0], all.More[1], all.More[2]); err != nil {
		t.Fatal(err)
	}
	check("after the release")
	reopen()
	check("after the release, and reopening")
	for seq := first; seq < first+5; seq++ {
		if _, err := q.Get(seq); (err == nil) != (seq == first+3) {
			t.Errorf("message %d: %v, want only the one that was not in the flight", seq, err)
		}
	}
}

// An older program doesn't know that several messages can share a packet id: it must not open such a file. Any other it may.
func TestOnlyGatheredFlightsRaiseTheFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	format := func() (format byte) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.View(func(tx *bbolt.Tx) error { format = tx.Bucket([]byte("meta")).Get([]byte("format"))[0]; return nil }); err != nil {
			t.Fatal(err)
		}
		return format
	}
	for _, tc := range []struct {
		more []uint64
		want byte
	}{{nil, 1}, {[]uint64{2}, 2}} {
		q := open(t, queue.Config{Path: path})
		put(t, q, text(queue.Normal, "1", "2")...)
		if err := q.SaveFlight(t.Context(), queue.Flight{Seq: 1, PacketID: 7, More: tc.more}, true); err != nil {
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if got := format(); got != tc.want {
			t.Errorf("with a flight of %d more messages: format %d, want %d", len(tc.more), got, tc.want)
		}
	}
}

func TestTryNextDoesNotWait(t *testing.T) {
	q := open(t, queue.Config{})
	r := q.Reader()
	if m, ok, err := r.TryNext(); ok || err != nil {
		t.Errorf("from an empty queue: %v, %v, %v", m, ok, err)
	}
	put(t, q, text(queue.Normal, "1")...)
	if m, ok, err := r.TryNext(); !ok || err != nil || string(m.Payload) != "1" {
		t.Errorf("got %q, %v, %v; want the message", m.Payload, ok, err)
	}
	if m, ok, err := r.TryNext(); ok || err != nil {
		t.Errorf("a message comes twice: %v, %v, %v", m, ok, err)
	}
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, queue.Config{Boot: [16]byte{1}, SinceBoot: time.Hour})
		put(t, q, text(queue.Normal, "1")...)
		put(t, q, queue.Message{Topic: "a", Boot: [16]byte{2}, Time: time.Now(), Trust: queue.TrustGuessed})
		time.Sleep(time.Minute)
		m, err := q.Get(1)
		if err != nil {
			t.Fatal(err)
		}
		if age, ok := q.Age(m); !ok || age != time.Minute {
			t.Errorf("Age = %v, %v; want a minute", age, ok)
		}
		if m, err = q.Get(2); err != nil {
			t.Fatal(err)
		}
		if age, ok := q.Age(m); ok {
			t.Errorf("of another boot, by a clock that isn't trusted: Age = %v", age)
		}
		q.Close()
	})
}
