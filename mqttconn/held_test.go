package mqttconn_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// TestHeld resumes a flight that is held: nothing of it leaves before it is published, its packet id is given to no other message,
// and it doesn't stand in the way of others, however small the window is.
func TestHeld(t *testing.T) {
	tests := []struct {
		name     string
		received bool // the broker repeats its PUBREC meanwhile
		want     []string
	}{
		{"goes under its packet id", false, []string{"PUBLISH 2 qos 1 dup false other", "PUBLISH 1 qos 2 dup true held", "PUBREL 1"}},
		{"is only released once it is received", true, []string{"PUBLISH 2 qos 1 dup false other", "PUBREL 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{session: map[uint16]string{1: "held"}}
				m := mqttconn.Message{Seq: 7, Topic: "site/pump", QoS: 2, Payload: []byte("held")}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", WindowMessages: 1,
					Resume: []mqttconn.Resume{{Flight: flight(7, 1, false), Message: m, Held: true}}})
				time.Sleep(time.Second)
				if tt.received {
					b.push(ackBytes(packets.Pubrec, 1)...)
				}
				other := publish(t, s, mqttconn.Message{Seq: 8, Topic: "site/pump", QoS: 1, Payload: []byte("other")})
				if err := other.Err(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if isDone(s.Resumed()[0].Done()) {
					t.Error("the fate of what is held is said to be known")
				}
				again := publish(t, s, m)
				if err := again.Err(); err != nil {
					t.Fatal(err)
				}
				if again != s.Resumed()[0] {
					t.Error("it was published with another receipt")
				}
				if diff := cmp.Diff(tt.want, sent(b)); diff != "" {
					t.Errorf("sent (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]string{"other", "held"}, b.payloads()); diff != "" {
					t.Errorf("arrived (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestHeldWhenTheSessionEnds: it was not delivered.
func TestHeldWhenTheSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{session: map[uint16]string{1: "held"}}
		m := mqttconn.Message{Seq: 7, Topic: "site/pump", QoS: 2, Payload: []byte("held")}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07",
			Resume: []mqttconn.Resume{{Flight: flight(7, 1, false), Message: m, Held: true}}})
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Resumed()[0].Err() == nil {
			t.Error("what was held counts as delivered")
		}
		if _, err := s.Publish(t.Context(), m); err == nil {
			t.Error("it was published after the end")
		}
	})
}
