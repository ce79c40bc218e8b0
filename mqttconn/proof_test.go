package mqttconn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// silent answers CONNECT only; the test sends the other answers itself.
func silent(p packet) []byte {
	if _, ok := p.(*packets.ConnectPacket); ok {
		return nil
	}
	return []byte{}
}

// TestReceiptWaitsForItsProof gives one proof, then the other, and looks when the receipt ends.
func TestReceiptWaitsForItsProof(t *testing.T) {
	const neither, acked, answered, both = "neither", "acked", "answered", "both"
	tests := []struct {
		release mqttconn.Release
		qos     byte
		enough  []string
	}{
		{mqttconn.ReleaseProof, 0, []string{acked}},
		{mqttconn.ReleaseProof, 1, []string{both}},
		{mqttconn.ReleaseProof, 2, []string{both}},
		{mqttconn.ReleaseAcked, 0, []string{acked}},
		{mqttconn.ReleaseAcked, 1, []string{acked, both}},
		{mqttconn.ReleaseAcked, 2, []string{both}},
		{mqttconn.ReleaseBroker, 0, []string{acked}},
		{mqttconn.ReleaseBroker, 1, []string{answered, both}},
		{mqttconn.ReleaseBroker, 2, []string{answered, both}},
	}
	for _, tt := range tests {
		for _, given := range []string{neither, acked, answered, both} {
			if tt.qos == 0 && (given == answered || given == both) {
				continue
			}
			want := false
			for _, e := range tt.enough {
				want = want || e == given
			}
			t.Run(fmt.Sprintf("%v/QoS %d/%s", tt.release, tt.qos, given), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := &fakeBroker{answer: silent, unacked: true}
					s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Release: tt.release})
					r := publish(t, s, mqttconn.Message{Seq: 1, QoS: tt.qos})
					synctest.Wait()
					if given == answered || given == both {
						giveAnswer(b, tt.qos, 1)
					}
					synctest.Wait()
					if given == acked || given == both {
						b.acknowledge()
					}
					if got := isDone(r.Done()); got != want {
						t.Fatalf("receipt ended: %v, want %v", got, want)
					}
					if want && r.Err() != nil {
						t.Error(r.Err())
					}
				})
			})
		}
	}
}

// giveAnswer sends all answers that end a message.
func giveAnswer(b *fakeBroker, qos byte, id uint16) {
	if qos == 1 {
		b.push(ackBytes(packets.Puback, id)...)
		return
	}
	b.push(ackBytes(packets.Pubrec, id)...)
	synctest.Wait()
	b.push(ackBytes(packets.Pubcomp, id)...)
}

func TestAcknowledgedCountStuckAfterTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{unacked: true}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		r := publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
		time.Sleep(59 * time.Second)
		if isDone(r.Done()) {
			t.Fatal("released before the count had its time")
		}
		time.Sleep(2 * time.Second)
		if !isDone(r.Done()) || r.Err() != nil {
			t.Fatal("not released on the broker's word after a minute")
		}
		if st := s.Stats(); st.Contradictions != 1 || st.Proven != 1 {
			t.Errorf("the contradiction is not counted: %+v", st)
		}
		if s.Err() != nil {
			t.Errorf("session ended: %v", s.Err())
		}
	})
}

func TestEndBeforeProof(t *testing.T) {
	tests := []struct {
		name     string
		answered bool
	}{{"unanswered", false}, {"answered, count never asked", true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: silent, unacked: true}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
				r := publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
				synctest.Wait()
				if tt.answered {
					giveAnswer(b, 1, 1)
					synctest.Wait()
				}
				b.wire().cut()
				wantEnd(t, s, mqttconn.CauseNetwork, "broker.example:1883", "reset by the test")
				if got := r.Err() == nil; got != tt.answered {
					t.Errorf("released: %v, want %v (%v)", got, tt.answered, r.Err())
				}
				if _, err := s.Publish(t.Context(), mqttconn.Message{Seq: 2, Topic: "a"}); err == nil {
					t.Error("published on a dead connection")
				}
			})
		})
	}
}

func TestBrokerSilentAboutAMessage(t *testing.T) {
	for qos := range byte(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: silent, unacked: true}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
				r := publish(t, s, mqttconn.Message{Seq: 77, QoS: qos})
				time.Sleep(5*time.Minute - time.Second)
				if isDone(s.Done()) {
					t.Fatalf("ended too early: %v", s.Err())
				}
				time.Sleep(2 * time.Second)
				wantEnd(t, s, mqttconn.CauseUnanswered, "message 77", "5m0s")
				if r.Err() == nil {
					t.Error("released without proof")
				}
			})
		})
	}
}

func TestPlatformWithoutCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{unacked: true}
		dial := func(ctx context.Context) (mqttconn.Conn, error) {
			c, err := b.dial(ctx)
			b.wire().refuse(fmt.Errorf("no count here: %w", errors.ErrUnsupported))
			return c, err
		}
		s := connect(t, dial, mqttconn.Config{ClientID: "pump-07"})
		for seq := range uint64(3) {
			if r := publish(t, s, mqttconn.Message{Seq: seq, QoS: 1}); r.Err() != nil {
				t.Errorf("message %d: %v", seq, r.Err())
			}
		}
		if st := s.Stats(); st.Contradictions != 0 {
			t.Errorf("a missing count is no contradiction: %+v", st)
		}
		_, err := s.Publish(t.Context(), mqttconn.Message{Topic: "a", QoS: 0})
		wantError(t, err, mqttconn.CauseConfig, "use QoS 1")
		b.mu.Lock()
		b.answer = silent
		b.mu.Unlock()
		publish(t, s, mqttconn.Message{Seq: 9, QoS: 1})
		time.Sleep(6 * time.Minute)
		wantEnd(t, s, mqttconn.CauseUnanswered, "message 9")
	})
}

func TestCountFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent, unacked: true}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		answered := publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
		open := publish(t, s, mqttconn.Message{Seq: 2, QoS: 1})
		synctest.Wait()
		b.wire().refuse(errors.New("the socket is gone"))
		synctest.Wait()
		giveAnswer(b, 1, 1) // was still unread when the socket went
		time.Sleep(6 * time.Second)
		wantEnd(t, s, mqttconn.CauseNetwork, "the socket is gone")
		if answered.Err() != nil || open.Err() == nil {
			t.Errorf("answered: %v, open: %v, want only the open one to fail", answered.Err(), open.Err())
		}
	})
}

// TestStrayAnswers sends answers that fit nothing: none may release a message, none may end the session.
func TestStrayAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		one := publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
		two := publish(t, s, mqttconn.Message{Seq: 2, QoS: 2})
		synctest.Wait()
		strays := [][]byte{
			ackBytes(packets.Puback, 99),      // unknown id
			ackBytes(packets.Pubrec, 1),       // wrong kind for QoS 1
			ackBytes(packets.Pubcomp, 1),      // the same
			ackBytes(packets.Puback, 2),       // wrong kind for QoS 2
			ackBytes(packets.Pubcomp, 2),      // before PUBREC
			{packets.Suback << 4, 3, 0, 1, 0}, // nobody subscribed
		}
		for _, p := range strays {
			b.push(p...)
		}
		if isDone(one.Done()) || isDone(two.Done()) {
			t.Fatal("released by a stray answer")
		}
		if got := s.Stats().Strays; got != uint64(len(strays)) {
			t.Errorf("strays counted: got %d, want %d", got, len(strays))
		}
		giveAnswer(b, 1, 1)
		giveAnswer(b, 2, 2)
		giveAnswer(b, 1, 1) // once more
		if one.Err() != nil || two.Err() != nil {
			t.Errorf("the right answers: %v, %v", one.Err(), two.Err())
		}
		synctest.Wait()
		if got, want := s.Stats().Strays, uint64(len(strays)+1); got != want {
			t.Errorf("strays counted: got %d, want %d", got, want)
		}
		if s.Err() != nil {
			t.Errorf("session ended: %v", s.Err())
		}
	})
}
