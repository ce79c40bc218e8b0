package agent_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

// What the queue drops while it is being gathered is not sent: it is counted as lost.
func TestWhatIsDroppedMeanwhileIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, q, stop := gathering(t, s, nil)
		accept(t, a, numbered(0, "a", 1, 3)...)
		time.Sleep(10 * time.Second)
		if err := q.Drop(queue.ReasonPurged, 2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		got := published(t, s)
		if len(got) == 0 || got[0] != "pump-07/batch a=1 a=3" {
			t.Errorf("got %q, want the batch without what was purged", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// After a crash the same messages are in the same packet, under the same packet id.
func TestAGatheredFlightIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		l, resumes := resumingLink(s)
		a, q, stop := run(t, l, batching)
		accept(t, a, numbered(0, "a", 1, 8)...)
		saveFlights(t, q, queue.Flight{Seq: 1, PacketID: 7, More: []uint64{2, 3}}, queue.Flight{Seq: 4, PacketID: 8, More: []uint64{5}, Received: true},
			queue.Flight{Seq: 6, PacketID: 9, More: []uint64{7}})
		if err := q.Drop(queue.ReasonPurged, 6, 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		last := resumes()
		if len(last) != 2 || last[0].Flight.PacketID != 7 || last[1].Flight.PacketID != 8 || !last[1].Flight.Received {
			t.Fatalf("resumed %+v, want the flights of packets 7 and 8", last)
		}
		if got := content(t, s.resumed[0].(*receipt)); got != "pump-07/batch a=1 a=2 a=3" {
			t.Errorf("packet 7 is made again as %q", got)
		}
		if got := published(t, s); len(got) == 0 || !strings.HasPrefix(got[0], "pump-07/batch a=8") {
			t.Errorf("published %q, want only what was not on its way", got)
		}
		for _, r := range s.resumed {
			r.(*receipt).finish(nil)
		}
		synctest.Wait()
		for seq := uint64(1); seq <= 5; seq++ {
			if _, err := q.Get(seq); err == nil {
				t.Errorf("message %d was proved within its packet and is still in the queue", seq)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What is sent in pieces after a session died of it is published from the queue. What had been sent after it waits for it, or a topic's
// readings would arrive in another order.
func TestWhatGoesAnewIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		l, _ := resumingLink(s)
		a, q, stop := run(t, l, batching)
		accept(t, a, numbered(0, "a", 1, 5)...)
		accept(t, a, queue.Message{Topic: "b", QoS: 2, Payload: []byte("6")})
		saveFlights(t, q, queue.Flight{Seq: 1, PacketID: 7, More: []uint64{2, 3}}, queue.Flight{Seq: 4, PacketID: 8, More: []uint64{5}},
			queue.Flight{Seq: 6, PacketID: 9})
		if err := q.AddAttempts(1, 2, 3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		var got []string
		for _, r := range s.resumed {
			got = append(got, "resumed "+content(t, r.(*receipt)))
		}
		got = append(got, published(t, s)...)
		want := []string{"resumed pump-07/batch b=6", "pump-07/batch a=1", "pump-07/batch a=2", "pump-07/batch a=3", "pump-07/batch a=4 a=5"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sent (-want +got):\n%s", diff)
		}
		for _, r := range s.resumed {
			r.(*receipt).finish(nil)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
