package mqttconn_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// FuzzSession lets a broker say anything, while a message of each QoS and a subscription are on their way. Paho behind the guard
// must not panic, nothing may be proven that was not answered for, and the session must end without a goroutine left.
func FuzzSession(f *testing.F) {
	for _, seed := range [][]byte{
		{0x20, 2, 0, 0},                               // CONNACK
		{0x20, 2, 0, 0x87},                            // with an unknown code
		{0x20, 2, 0, 0, 0x20, 2, 0, 0},                // twice
		{0x20, 2, 0, 0, 0x90, 5, 0, 1, 1, 1, 1},       // SUBACK with more codes than topics
		{0x20, 2, 0, 0, 0x90, 3, 0, 9, 1},             // for an unknown id
		{0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f}, // 256 MiB
		{0x20, 2, 0, 0, 0x40, 2, 0, 77, 0x50, 2, 0, 78, 0x70, 2, 0, 79, 0x70, 2, 0, 2}, // answers for unknown ids, and a PUBCOMP too early
		{0x20, 2, 0, 0, 0x62, 2, 0, 5, 0x32, 8, 0, 1, 'a', 0, 1, 'x', 'y', 'z'},
		{0x40, 2, 0, 1}, {0x15, 3, 3, 0, 2, 2, 80}, // before CONNACK; a TLS alert
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newWire()
			w.down.write(said)
			time.AfterFunc(time.Minute, w.cut)
			s, err := mqttconn.Connect(t.Context(), func(context.Context) (mqttconn.Conn, error) { return w.client(), nil },
				mqttconn.Config{ClientID: "pump-07", MaxInbound: 1 << 10,
					Handler: func(context.Context, mqttconn.Delivery) error { return nil }})
			if err != nil {
				return
			}
			var receipts []*mqttconn.Receipt
			for qos := range byte(3) {
				if r, err := s.Publish(t.Context(), mqttconn.Message{Seq: uint64(qos) + 1, Topic: "site/pump", QoS: qos}); err == nil && qos > 0 {
					receipts = append(receipts, r)
				}
			}
			<-s.Done()
			for _, r := range receipts {
				if r.Err() == nil && len(said) < 4+4 { // CONNACK, and an answer at least
					t.Errorf("message %d was proven by % x", r.Seq(), said)
				}
			}
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	})
}
