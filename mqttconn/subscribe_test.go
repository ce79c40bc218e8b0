package mqttconn_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestSubscriptionsOfASession(t *testing.T) {
	cmd, old := mqttconn.Subscription{Filter: "pump-07/cmd/+", QoS: 1}, mqttconn.Subscription{Filter: "old/+", QoS: 1}
	type told struct {
		held    []mqttconn.Subscription
		refused bool
	}
	tests := []struct {
		name    string
		present bool // the broker has kept the session
		kept    []mqttconn.Subscription
		refuse  bool
		asks    int // SUBSCRIBE
		ends    int // UNSUBSCRIBE
		want    []told
	}{
		{name: "new session", asks: 1, want: []told{{held: []mqttconn.Subscription{cmd}}}},
		{name: "new session, although another was kept before", kept: []mqttconn.Subscription{cmd}, asks: 1,
			want: []told{{held: []mqttconn.Subscription{cmd}}}},
		{name: "kept session that has it", present: true, kept: []mqttconn.Subscription{cmd}},
		{name: "kept session that lacks it", present: true, asks: 1, want: []told{{held: []mqttconn.Subscription{cmd}}}},
		{name: "kept session with another", present: true, kept: []mqttconn.Subscription{old}, asks: 1, ends: 1,
			want: []told{{held: []mqttconn.Subscription{cmd}}}},
		{name: "refused", refuse: true, asks: 1, want: []told{{refused: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: func(p packet) []byte {
					switch {
					case kindOf(p) == "CONNECT":
						return connackBytes(tt.present, 0)
					case kindOf(p) == "SUBSCRIBE" && tt.refuse:
						id := p.Details().MessageID
						return []byte{packets.Suback << 4, 3, byte(id >> 8), byte(id), 0x80}
					}
					return nil
				}}
				var got []told
				s := connect(t, b.dial, mqttconn.Config{
					ClientID: "pump-07", Handler: func(context.Context, mqttconn.Delivery) error { return nil },
					Subscriptions: []mqttconn.Subscription{cmd}, Kept: tt.kept,
					Subscribed: func(held []mqttconn.Subscription, err error) {
						got = append(got, told{held, mqttconn.CauseOf(err) == mqttconn.CauseCredentials})
					},
				})
				time.Sleep(time.Second)
				if r := publish(t, s, mqttconn.Message{QoS: 1}); !isDone(r.Done()) || r.Err() != nil {
					t.Errorf("publishing beside it: %v", r.Err())
				}
				if asks, ends := b.count("SUBSCRIBE"), b.count("UNSUBSCRIBE"); asks != tt.asks || ends != tt.ends {
					t.Errorf("got %d SUBSCRIBE and %d UNSUBSCRIBE, want %d and %d", asks, ends, tt.asks, tt.ends)
				}
				if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(told{})); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				if err := s.Err(); err != nil {
					t.Errorf("the session has ended: %v", err)
				}
			})
		})
	}
}

// Without a handler a message of an old subscription is thrown away for good.
func TestNobodyWantsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		b.push(publishBytes(1, 7, "cmd", "x")...)
		synctest.Wait()
		if acks, dropped := b.count("PUBACK"), s.Stats().Dropped; acks != 1 || dropped != 1 {
			t.Errorf("got %d PUBACK and %d dropped, want 1 and 1", acks, dropped)
		}
	})
}

// The connection breaks before the broker has answered: nothing waits for ever, nobody is told of a subscription.
func TestCutBeforeSuback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{cutAt: "after SUBSCRIBE 1"}
		var held []mqttconn.Subscription
		s := connect(t, b.dial, mqttconn.Config{
			ClientID: "pump-07", Handler: func(context.Context, mqttconn.Delivery) error { return nil },
			Subscriptions: []mqttconn.Subscription{{Filter: "cmd/+", QoS: 1}},
			Subscribed:    func(h []mqttconn.Subscription, _ error) { held = h },
		})
		time.Sleep(time.Minute)
		wantEnd(t, s, mqttconn.CauseNetwork)
		if len(held) > 0 {
			t.Errorf("got %v as held", held)
		}
	})
}
