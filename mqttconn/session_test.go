package mqttconn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestStuckWriteEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		b.wire().up.stall(true)
		var receipts []*mqttconn.Receipt
		for seq := range uint64(10) { // none of these blocks
			receipts = append(receipts, publish(t, s, mqttconn.Message{Seq: seq, QoS: 1}))
		}
		time.Sleep(119 * time.Second)
		if isDone(s.Done()) {
			t.Fatalf("ended too early: %v", s.Err())
		}
		time.Sleep(2 * time.Second)
		wantEnd(t, s, mqttconn.CauseTimeout, "stuck for 2m0s", "broker.example:1883")
		for _, r := range receipts {
			if r.Err() == nil {
				t.Errorf("message %d released", r.Seq())
			}
		}
	})
}

func TestCloseDoesNotWaitForAStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		b.wire().up.stall(true)
		publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		s.Close(ctx)
		if got := time.Since(begin); got != 3*time.Second {
			t.Errorf("Close took %v, want 3s", got)
		}
		wantEnd(t, s, mqttconn.CauseClosed)
	})
}

func TestPingUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		begin := time.Now()
		<-s.Done()
		wantEnd(t, s, mqttconn.CauseSilent, "did not answer the ping")
		if got := time.Since(begin); got != 660*time.Second {
			t.Errorf("noticed after %v, want 540 s of silence and 120 s for the answer", got)
		}
	})
}

func TestPingOvertakesTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", FirstWindow: 1 << 20, KeepAlive: 30 * time.Second})
		b.wire().up.stall(true)
		for seq := range uint64(30) {
			publish(t, s, mqttconn.Message{Seq: seq, QoS: 1, Payload: make([]byte, 200)})
		}
		time.Sleep(time.Minute)
		b.wire().up.stall(false)
		time.Sleep(time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		ping := slices.IndexFunc(b.packets, func(p packet) bool { return kindOf(p) == "PINGREQ" })
		// CONNECT, and what was already being written when the ping was due.
		if ping < 0 || ping > 8 {
			t.Errorf("the ping is packet %d of %d, want it before the backlog", ping, len(b.packets))
		}
		if len(b.packets) != 32 {
			t.Errorf("%d packets arrived, want 32", len(b.packets))
		}
	})
}

func TestNoPingWhileMessagesFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		for seq := range uint64(60) {
			publish(t, s, mqttconn.Message{Seq: seq, QoS: 1})
			time.Sleep(time.Minute)
		}
		if got := s.Stats().Pings; got != 0 {
			t.Errorf("%d pings in an hour with a message a minute, want none", got)
		}
	})
}

func TestCloseSendsWhatIsQueuedAndSaysGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", FirstWindow: 1 << 20})
		var receipts []*mqttconn.Receipt
		for seq := range uint64(20) {
			receipts = append(receipts, publish(t, s, mqttconn.Message{Seq: seq, QoS: 1, Payload: make([]byte, 200)}))
		}
		for range 2 {
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		b.group.Wait()
		if got := b.count("PUBLISH"); got != 20 {
			t.Errorf("arrived: %d messages, want 20", got)
		}
		if got := b.count("DISCONNECT"); got != 1 {
			t.Errorf("DISCONNECT arrived %d times, want once", got)
		}
		for _, r := range receipts {
			wantError(t, r.Err(), mqttconn.CauseClosed)
		}
		wantEnd(t, s, mqttconn.CauseClosed)
		_, err := s.Publish(t.Context(), mqttconn.Message{Topic: "a"})
		wantError(t, err, mqttconn.CauseClosed)
	})
}

func TestUnexpectedEndLeavesTheWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		b.wire().server().Close()
		wantEnd(t, s, mqttconn.CauseHungUp, "lost", "EOF")
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := b.count("DISCONNECT"); got != 0 {
			t.Errorf("DISCONNECT arrived %d times, want never", got)
		}
	})
}

// failingJournal fails from the n-th save on.
type failingJournal struct {
	n     int
	saved []mqttconn.Flight
}

func (j *failingJournal) Save(_ context.Context, f mqttconn.Flight, _ bool) error {
	if len(j.saved) == j.n {
		return errors.New("disk full")
	}
	j.saved = append(j.saved, f)
	return nil
}

func (j *failingJournal) Clear(context.Context) error { return nil }

func TestNothingLeavesUnrecorded(t *testing.T) {
	tests := []struct {
		qos     byte
		n       int
		packet  string
		arrived int
	}{
		{1, 0, "PUBLISH", 0},
		{2, 0, "PUBLISH", 0},
		{2, 1, "PUBREL", 0}, // the PUBLISH went out, the PUBREC came
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("QoS %d, save %d", tt.qos, tt.n+1), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Journal: &failingJournal{n: tt.n}})
				r := publish(t, s, mqttconn.Message{Seq: 1, QoS: tt.qos})
				wantEnd(t, s, mqttconn.CauseJournal, "disk full")
				if got := b.count(tt.packet); got != 0 {
					t.Errorf("%d %s left without a record", got, tt.packet)
				}
				if r.Err() == nil {
					t.Error("released")
				}
			})
		})
	}
}

// countingJournal notes which saves were durable.
type countingJournal struct {
	fakeQueue
	durable, all int
}

func (j *countingJournal) Save(_ context.Context, _ mqttconn.Flight, durable bool) error {
	j.all++
	if durable {
		j.durable++
	}
	return nil
}

func TestCommitsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		j := &countingJournal{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Journal: j, FirstWindow: 1 << 20})
		var receipts []*mqttconn.Receipt
		for seq := range uint64(33) { // the first leaves alone, the others in writes of 11
			receipts = append(receipts, publish(t, s, mqttconn.Message{Seq: seq, QoS: 2, Payload: make([]byte, 100)}))
		}
		for _, r := range receipts {
			if r.Err() != nil {
				t.Fatal(r.Err())
			}
		}
		if j.all != 66 {
			t.Errorf("saves: got %d, want one for each PUBLISH and each PUBREC, 66", j.all)
		}
		if j.durable > 40 {
			t.Errorf("durable saves: got %d, want few", j.durable)
		}
	})
}

func TestStatsCountBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		r := publish(t, s, mqttconn.Message{QoS: 1, Topic: "abc", Payload: bytes.Repeat([]byte("x"), 20)})
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		st := s.Stats()
		connectBytes := uint64(2 + 10 + 2 + len("pump-07"))
		publishBytes := uint64(2 + 2 + 3 + 2 + 20)
		if st.PublishBytes != publishBytes || st.BytesUp != connectBytes+publishBytes || st.BytesDown != 4+4 {
			t.Errorf("got %+v, want %d bytes of PUBLISH, %d up and 8 down", st, publishBytes, connectBytes+publishBytes)
		}
	})
}
