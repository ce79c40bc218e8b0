package mqttconn_test

import (
	"context"
	"errors"
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
		{"at first", mqttconn.Config{}, 137, 9},
		{"wide open", mqttconn.Config{FirstWindow: 1 << 20}, 137, 87},
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

// TestDrainBeginsSlowly has a backlog and a broker that answers once a second: each second twice as much is on its way, up
// to the window.
func TestDrainBeginsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		go func() {
			for seq := uint64(1); ; seq++ { // packets of 146 bytes after their fixed header
				if _, err := s.Publish(t.Context(), mqttconn.Message{Seq: seq, Topic: "site/pump", QoS: 1, Payload: make([]byte, 133)}); err != nil {
					return
				}
			}
		}()
		answered := 0
		for i, want := range []int{10, 20, 40, 80, 90, 90} {
			time.Sleep(time.Second)
			sent := b.count("PUBLISH")
			if got := sent - answered; got != want {
				t.Errorf("round %d: %d messages on their way, want %d", i, got, want)
			}
			for ; answered < sent; answered++ {
				b.push(ackBytes(packets.Puback, uint16(answered+1))...)
			}
		}
	})
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
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", FirstWindow: 1 << 20})
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
		// 45 packets of 115 bytes; 12 fit 1400 bytes.
		if got := b.wire().up.writeCalls() - before - 1; got != 4 {
			t.Errorf("a backlog of 45 messages: %d writes, want 4", got)
		}
		if got := b.count("PUBLISH"); got != 46 {
			t.Errorf("arrived: %d, want 46", got)
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
			}, mqttconn.Config{ClientID: "pump-07", WindowMessages: 10_000, WindowBytes: 1 << 24, FirstWindow: 1 << 24})
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
