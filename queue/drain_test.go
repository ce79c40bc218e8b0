package queue_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

func TestLiveFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		q, err := queue.Open(queue.Config{Path: path, Drain: queue.LiveFirst, HistoryShare: 25, HistoryAge: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		var past, live []queue.Message
		for i := range 40 {
			past = append(past, text(queue.Normal, fmt.Sprintf("h%02d", i))...)
			live = append(live, text(queue.Normal, fmt.Sprintf("l%02d", i))...)
		}
		put(t, q, text(queue.Alarm, "alarm")...)
		put(t, q, past...)
		if got, want := words(next(t, q.Reader(), 2)), "alarm h00"; got != want {
			t.Errorf("after a short break = %q, want %q", got, want)
		}
		time.Sleep(time.Hour)
		r := q.Reader()
		put(t, q, live...)
		msgs := next(t, r, 81)
		var order [2]string
		history := 0
		for i, m := range msgs {
			if m.History != strings.HasPrefix(string(m.Payload), "h") {
				t.Errorf("%s: History is %v", m.Payload, m.History)
			}
			if m.History {
				order[1] += string(m.Payload) + " "
				if i < 53 {
					history++
				}
			} else {
				order[0] += string(m.Payload) + " "
			}
		}
		if want := "alarm " + words(live) + " "; order[0] != want {
			t.Errorf("the present = %q, want %q", order[0], want)
		}
		if want := words(past) + " "; order[1] != want {
			t.Errorf("history = %q, want %q", order[1], want)
		}
		if history < 13 || history > 14 {
			t.Errorf("%d of the first 53 are history, want a quarter", history)
		}
	})
	check(t, path)
}

// A packet that is sent again after a crash has to be the same, so what was history on its way stays history.
func TestHistoryOnItsWay(t *testing.T) {
	cfg := queue.Config{Path: filepath.Join(t.TempDir(), "queue.db"), Drain: queue.LiveFirst, HistoryAge: time.Nanosecond}
	q := open(t, cfg)
	put(t, q, text(queue.Normal, "past", "past, not sent")...)
	put(t, q, text(queue.Alarm, "alarm")...)
	r := q.Reader()
	put(t, q, text(queue.Normal, "live")...)
	put(t, q, text(queue.Bulk, "live bulk")...)
	for _, m := range next(t, r, 5) {
		if m.Seq == 2 {
			continue
		}
		if err := q.SaveFlight(t.Context(), queue.Flight{Seq: m.Seq, PacketID: uint16(m.Seq)}, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, when := range []string{"before", "after"} {
		for seq, want := range map[uint64]bool{1: true, 2: false, 3: false, 4: false, 5: false} {
			if m, err := q.Get(seq); err != nil || m.History != want {
				t.Errorf("%s the restart: message %d has History %v, %v; want %v", when, seq, m.History, err, want)
			}
		}
		q.Close()
		q = open(t, cfg)
	}
	if err := q.ClearFlights(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := q.Get(1); err != nil || m.History {
		t.Errorf("without its flight: History is %v, %v", m.History, err)
	}
}
