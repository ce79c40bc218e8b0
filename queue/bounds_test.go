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
