package mqttconn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestWindow(t *testing.T) {
	tests := []struct {
		name    string
		cfg     mqttconn.Config
		payload int
		fits    int
	}{
		{"messages", mqttconn.Config{WindowMessages: 3}, 10, 3},
		{"bytes", mqttconn.Config{WindowBytes: 1000}, 200, 4},
		{"one larger than all", mqttconn.Config{WindowBytes: 1000}, 5000, 1},
		{"defaults", mqttconn.Config{}, 137, 48},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: silent}
				tt.cfg.ClientID = "pump-07"
				s := connect(t, b.dial, tt.cfg)
				m := mqttconn.Message{QoS: 1, Payload: make([]byte, tt.payload)}
				for m.Seq = 1; m.Seq <= uint64(tt.fits); m.Seq++ {
					publish(t, s, m)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				m.Topic = "site/pump"
				if _, err := s.Publish(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("message %d went into a full window: %v", m.Seq, err)
				}
				if got := s.Stats().InFlight; got != tt.fits {
					t.Errorf("in flight: got %d, want %d", got, tt.fits)
				}
				time.AfterFunc(time.Minute, func() { b.push(ackBytes(packets.Puback, 1)...) })
				begin := time.Now()
				publish(t, s, m)
				if got := time.Since(begin); got != time.Minute {
					t.Errorf("published after %v, want as soon as there was room", got)
				}
			})
		})
	}
}

func TestPublishKeepsNothingOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		payload := []byte("reading")
		r := publish(t, s, mqttconn.Message{QoS: 1, Payload: payload})
		copy(payload, "garbage")
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		if got := b.payloads()[0]; got != "reading" {
			t.Errorf("got %q, want %q", got, "reading")
		}
	})
}

func TestInvalidMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		tests := []mqttconn.Message{
			{Topic: ""},
			{Topic: "site/+/pump"},
			{Topic: "site/#"},
			{Topic: "site\x00"},
			{Topic: "site/\xff"},
			{Topic: strings.Repeat("x", 65536)},
			{Topic: "site", QoS: 3},
		}
		for _, m := range tests {
			if _, err := s.Publish(t.Context(), m); !errors.Is(err, mqttconn.ErrInvalid) {
				t.Errorf("topic %.20q, QoS %d: got %v, want ErrInvalid", m.Topic, m.QoS, err)
			}
		}
		if r := publish(t, s, mqttconn.Message{Topic: strings.Repeat("x", 65535), QoS: 1}); r.Err() != nil {
			t.Errorf("the longest topic: %v", r.Err())
		}
	})
}

// TestGathering looks at the writes below: a lone message leaves at once, a backlog shares writes.
func TestGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		synctest.Wait()
		before := b.wire().up.writeCalls()
		publish(t, s, mqttconn.Message{Seq: 1, QoS: 1, Payload: make([]byte, 100)})
		synctest.Wait()
		if got := b.wire().up.writeCalls() - before; got != 1 {
			t.Fatalf("a lone message waits: %d writes, want 1", got)
		}
		for seq := range uint64(45) {
			publish(t, s, mqttconn.Message{Seq: seq + 2, QoS: 1, Payload: make([]byte, 100)})
		}
		time.Sleep(time.Second)
		// 45 packets of 115 bytes; 11 fit 1300 bytes.
		if got := b.wire().up.writeCalls() - before - 1; got != 5 {
			t.Errorf("a backlog of 45 messages: %d writes, want 5", got)
		}
		if got := b.count("PUBLISH"); got != 46 {
			t.Errorf("arrived: %d, want 46", got)
		}
	})
}

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
		// 540 s of silence and 120 s for the answer, which Paho looks at every 5 s.
		if got := time.Since(begin); got < 660*time.Second || got > 671*time.Second {
			t.Errorf("noticed after %v, want 11 minutes", got)
		}
	})
}

func TestPingOvertakesTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", KeepAlive: 30 * time.Second})
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
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
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
		wantEnd(t, s, mqttconn.CauseNetwork, "lost", "EOF")
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
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Journal: j})
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

// cuttingConn breaks after so many bytes.
type cuttingConn struct {
	*clientEnd
	at uint64
}

func (c *cuttingConn) Write(p []byte) (int, error) {
	n, err := c.clientEnd.Write(p)
	if c.Written() >= c.at {
		c.wire.cut()
	}
	return n, err
}

// TestPublishWhileTheConnectionEnds breaks the connection under a busy publisher, often: Paho does not notice when that
// happens inside its Publish, and waits.
func TestPublishWhileTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for round := range 2000 {
			b := &fakeBroker{answer: silent}
			s, err := mqttconn.Connect(t.Context(), func(ctx context.Context) (mqttconn.Conn, error) {
				c, err := b.dial(ctx)
				return &cuttingConn{c.(*clientEnd), uint64(2000 + 331*(round%60))}, err
			}, mqttconn.Config{ClientID: "pump-07", WindowMessages: 10_000, WindowBytes: 1 << 24})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			for seq := uint64(1); err == nil; seq++ {
				_, err = s.Publish(t.Context(), mqttconn.Message{Seq: seq, Topic: "site/pump", QoS: 1, Payload: make([]byte, 300)})
			}
			if got := time.Since(begin); got > time.Minute {
				t.Errorf("round %d: Publish returned %v after the end", round, got)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			b.group.Wait()
		}
	})
}
