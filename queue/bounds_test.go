package queue_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fieldpost/fieldpost/queue"
)

// kilobytes returns messages of a KiB each that begin with a lane's letter and a number.
func kilobytes(lane queue.Lane, topic string, from, n int) []queue.Message {
	var msgs []queue.Message
	for i := range n {
		msgs = append(msgs, queue.Message{Lane: lane, Topic: topic, Payload: fmt.Appendf(nil, "%s%d %s", lane.String()[:1], from+i, strings.Repeat("x", 1000))})
	}
	return msgs
}

// heads returns the first words of the payloads, without loss receipts.
func heads(t *testing.T, q *queue.Queue) string {
	t.Helper()
	var list []string
	for m, err := range q.All() {
		if err != nil {
			t.Fatal(err)
		}
		if m.Topic != "fieldpost/loss" {
			list = append(list, strings.Fields(string(m.Payload))[0])
		}
	}
	return strings.Join(list, " ")
}

func TestFullQueueDropsTheOldestOfTheLowestLane(t *testing.T) {
	q := open(t, queue.Config{MaxBytes: 64 << 10, LossWait: time.Hour})
	put(t, q, kilobytes(queue.Alarm, "a", 0, 20)...)
	put(t, q, kilobytes(queue.Normal, "n", 0, 20)...)
	put(t, q, kilobytes(queue.Bulk, "b", 0, 20)...)
	put(t, q, kilobytes(queue.Normal, "n", 20, 10)...) // in place of bulk
	if got := q.Stats(); got.Bytes > 64<<10 {
		t.Errorf("%d bytes are stored, beyond MaxBytes", got.Bytes)
	}
	put(t, q, kilobytes(queue.Alarm, "a", 20, 20)...) // of all bulk, and of normal
	if _, err := q.Put(t.Context(), kilobytes(queue.Bulk, "b", 20, 4)...); !errors.Is(err, queue.ErrFull) {
		t.Errorf("Put of bulk, of which none is left: %v, want ErrFull", err)
	}
	s := q.Stats()
	if s.Lanes[queue.Alarm].Messages != 40 {
		t.Errorf("%d alarms are left of 40 though others could give way", s.Lanes[queue.Alarm].Messages)
	}
	got := heads(t, q)
	if !strings.Contains(got, "n29") || strings.Contains(got, "n0 ") || strings.Contains(got, "b") {
		t.Errorf("left are %q, want the alarms and the newest of normal", got)
	}
	lost := 0
	for _, l := range s.Losses {
		if l.Reason != queue.ReasonFull {
			t.Errorf("loss %+v", l)
		}
		lost += int(l.Messages)
	}
	if want := 90 - s.Messages; lost != want {
		t.Errorf("%d losses are counted, want %d", lost, want)
	}
}

func TestLowerLanesDoNotDriveOutHigherOnes(t *testing.T) {
	q := open(t, queue.Config{MaxBytes: 64 << 10})
	put(t, q, kilobytes(queue.Alarm, "a", 0, 31)...)
	put(t, q, kilobytes(queue.Alarm, "a", 31, 31)...)
	for _, lane := range []queue.Lane{queue.Normal, queue.Bulk} {
		if _, err := q.Put(t.Context(), kilobytes(lane, "x", 0, 4)...); !errors.Is(err, queue.ErrFull) {
			t.Errorf("Put in lane %v among alarms only: %v, want ErrFull", lane, err)
		}
	}
	put(t, q, kilobytes(queue.Alarm, "a", 62, 4)...)
	if got := q.Stats().Lanes[queue.Alarm].Messages; got > 63 || got < 61 {
		t.Errorf("%d alarms are stored, want the 64 KiB full", got)
	}
	if got := heads(t, q); strings.HasPrefix(got, "a0 ") || !strings.HasSuffix(got, "a65") {
		t.Errorf("left are %q, want the newest alarms", got)
	}
}

func TestMessagesOnTheirWayAreNotDropped(t *testing.T) {
	q := open(t, queue.Config{MaxBytes: 64 << 10})
	first := put(t, q, kilobytes(queue.Normal, "n", 0, 30)...)
	if err := q.SaveFlight(t.Context(), queue.Flight{Seq: first, PacketID: 1, Received: true, More: []uint64{first + 2}}, true); err != nil {
		t.Fatal(err)
	}
	put(t, q, kilobytes(queue.Normal, "n", 30, 30)...)
	put(t, q, kilobytes(queue.Normal, "n", 60, 20)...)
	if got := heads(t, q); !strings.HasPrefix(got, "n0 n2 ") || strings.Contains(got, "n1 ") || !strings.HasSuffix(got, "n79") {
		t.Errorf("left are %q, want the messages on their way and the newest", got)
	}
}

func TestRefuse(t *testing.T) {
	q := open(t, queue.Config{MaxBytes: 64 << 10, Full: queue.Refuse})
	put(t, q, kilobytes(queue.Bulk, "b", 0, 30)...)
	put(t, q, kilobytes(queue.Bulk, "b", 30, 28)...)
	want := heads(t, q)
	if _, err := q.Put(t.Context(), kilobytes(queue.Alarm, "a", 0, 8)...); !errors.Is(err, queue.ErrFull) {
		t.Errorf("Put: %v, want ErrFull", err)
	}
	if got := heads(t, q); got != want {
		t.Errorf("a refused Put has left %q, want %q", got, want)
	}
	if _, err := q.Put(t.Context(), kilobytes(queue.Alarm, "a", 0, 33)...); !errors.As(err, new(*queue.TooLargeError)) {
		t.Errorf("Put of more than half the queue: %v, want a TooLargeError", err)
	}
	q.Release(1, 2, 3, 4, 5, 6, 7, 8)
	put(t, q, kilobytes(queue.Alarm, "a", 0, 8)...)
}

func TestLossReceipt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().UTC()
		q, err := queue.Open(queue.Config{Path: path, MaxBytes: 64 << 10, LossWait: time.Minute, LossTopic: "pump-07/loss"})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		epoch := q.Epoch()
		if err := q.SetClock(t.Context(), start, queue.TrustKnown); err != nil {
			t.Fatal(err)
		}
		for i := range 80 {
			put(t, q, kilobytes(queue.Bulk, fmt.Sprintf("pump-07/vib/%d", i%3), i, 1)...)
			time.Sleep(100 * time.Millisecond)
		}
		lost := q.Stats().Losses[0].Messages
		if lost < 15 || lost > 25 {
			t.Fatalf("%d messages were dropped, want about 20", lost)
		}
		time.Sleep(2 * time.Minute)
		m := next(t, q.Reader(), 1)[0]
		if m.Topic != "pump-07/loss" || m.Lane != queue.Alarm || m.QoS != 1 {
			t.Fatalf("first is %q in lane %v at QoS %d, want the receipt", m.Topic, m.Lane, m.QoS)
		}
		want := queue.Receipt{
			Schema: 1, Reason: queue.ReasonFull, Lane: "bulk", TopicPrefix: "pump-07/vib", Messages: lost,
			FirstTime: start, LastTime: start.Add(time.Duration(lost-1) * 100 * time.Millisecond),
			FirstID: queue.ID{Epoch: epoch, Seq: 1}.String(), LastID: queue.ID{Epoch: epoch, Seq: lost}.String(),
		}
		var got queue.Receipt
		decode(t, m.Payload, &got)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(queue.Receipt{}, "Bytes")); diff != "" {
			t.Errorf("receipt (-want +got):\n%s", diff)
		}
		q.Release(m.Seq)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := q.Stats().Lanes[queue.Alarm].Messages; n > 1 { // room for the first may have cost one more
			t.Errorf("%d receipts follow the first", n)
		}
	})
	check(t, path)
}

func TestDropIsReportedAtTheLatestByClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path, LossWait: time.Hour, ReleaseWait: time.Hour})
	first := put(t, q, text(queue.Normal, "good", "bad")...)
	if err := q.Drop(queue.ReasonPoison, first+1); err != nil {
		t.Fatal(err)
	}
	q.Close()
	q = open(t, queue.Config{Path: path})
	if got := lossReceipts(t, q); len(got) != 1 || got[0].Reason != queue.ReasonPoison || got[0].TopicPrefix != "site/normal" {
		t.Errorf("receipts = %+v, want one of a poison message", got)
	}
	want := []queue.Loss{{Reason: queue.ReasonPoison, Lane: queue.Normal, Messages: 1}}
	if got := q.Stats().Losses; !cmp.Equal(got, want) {
		t.Errorf("Losses = %v, want %v", got, want)
	}
}
