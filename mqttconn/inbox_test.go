package mqttconn_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// publishBytes is a PUBLISH from the broker.
func publishBytes(qos byte, id uint16, topic, payload string) []byte {
	p := []byte{packets.Publish<<4 | qos<<1, 0, 0, byte(len(topic))}
	p = append(p, topic...)
	if qos > 0 {
		p = append(p, byte(id>>8), byte(id))
	}
	p = append(p, payload...)
	p[1] = byte(len(p) - 2)
	return p
}

func TestSubscribe(t *testing.T) {
	tests := []struct {
		name   string
		reply  []byte
		asked  byte
		want   byte
		cause  mqttconn.Cause
		reason string
	}{
		{name: "granted", asked: 1, reply: []byte{0x90, 3, 0, 1, 1}, want: 1},
		{name: "granted less", asked: 1, reply: []byte{0x90, 3, 0, 1, 0}, want: 0},
		{name: "refused", asked: 1, reply: []byte{0x90, 3, 0, 1, 0x80}, cause: mqttconn.CauseCredentials, reason: "refused the filter"},
		{name: "two codes for one filter", asked: 1, reply: []byte{0x90, 4, 0, 1, 1, 1}, cause: mqttconn.CauseProtocol, reason: "2 codes"},
		{name: "QoS 2", asked: 2, cause: mqttconn.CauseConfig, reason: "not offered"},
		{name: "no answer", asked: 1, reply: []byte{}, cause: mqttconn.CauseTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: func(p packet) []byte {
					if kindOf(p) == "SUBSCRIBE" {
						return tt.reply
					}
					return nil
				}}
				s := connect(t, b.dial, mqttconn.Config{
					ClientID: "pump-07", Handler: func(context.Context, mqttconn.Delivery) error { return nil },
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got, err := s.Subscribe(ctx, "site/pump/cmd/#", tt.asked)
				wantError(t, err, tt.cause, tt.reason)
				if got != tt.want {
					t.Errorf("granted: got %d, want %d", got, tt.want)
				}
			})
		})
	}
}

// inboxHandler records what it gets.
type inboxHandler struct {
	mu   sync.Mutex
	got  []string
	fail bool
	hold chan struct{} // nil: none
}

func (h *inboxHandler) handle(ctx context.Context, d mqttconn.Delivery) error {
	if h.hold != nil {
		select {
		case <-h.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, fmt.Sprintf("%s=%s", d.Topic, d.Payload))
	if h.fail {
		return errors.New("not now")
	}
	return nil
}

func (h *inboxHandler) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

func TestDeliveries(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprint("handler fails: ", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &inboxHandler{fail: fails}
				b := &fakeBroker{}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Handler: h.handle})
				var want []string
				for i := range 20 {
					b.push(publishBytes(1, uint16(i+1), "cmd", fmt.Sprint(i))...)
					want = append(want, fmt.Sprint("cmd=", i))
				}
				b.push(publishBytes(0, 0, "cmd", "")...)
				want = append(want, "cmd=")
				time.Sleep(time.Second)
				if diff := cmp.Diff(want, h.all()); diff != "" {
					t.Errorf("delivered (-want +got):\n%s", diff)
				}
				acks := 20
				if fails {
					acks = 0
				}
				if got := b.count("PUBACK"); got != acks {
					t.Errorf("acknowledged: got %d, want %d", got, acks)
				}
				if st := s.Stats(); fails != (st.Dropped == 21) || fails == (st.Received == 21) {
					t.Errorf("stats: %+v", st)
				}
			})
		})
	}
}

func TestFloodIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &inboxHandler{hold: make(chan struct{})}
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Handler: h.handle})
		for i := range 1000 {
			b.push(publishBytes(1, uint16(i+1), "cmd", "x")...)
		}
		synctest.Wait()
		if r := publish(t, s, mqttconn.Message{QoS: 1}); r.Err() != nil { // the handler holds nothing up
			t.Error(r.Err())
		}
		close(h.hold)
		time.Sleep(time.Second)
		// 64 in the inbox and one with the handler.
		if got := len(h.all()); got != 65 {
			t.Errorf("delivered: got %d, want 65", got)
		}
		if got := s.Stats().Dropped; got != 935 {
			t.Errorf("dropped: got %d, want 935", got)
		}
		if got := b.count("PUBACK"); got != 65 {
			t.Errorf("acknowledged: got %d, want 65", got)
		}
	})
}

func TestMalformedInbound(t *testing.T) {
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"length of five bytes", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}},
		{"over the limit, no message", []byte{0x90, 0x80, 0x80, 0x04}}, // 64 KiB and the header
		{"second CONNACK", connackBytes(false, 0)},
		{"CONNECT", []byte{0x10, 0}},
		{"type 0", []byte{0, 0}},
		{"type 15", []byte{0xf0, 0}},
		{"PUBACK with flags", []byte{0x41, 2, 0, 1}},
		{"PUBACK too short", []byte{0x40, 1, 0}},
		{"PUBACK for id 0", []byte{0x40, 2, 0, 0}},
		{"PUBREL without its flag", []byte{0x60, 2, 0, 1}},
		{"QoS 3", []byte{0x36, 5, 0, 1, 'a', 0, 1}},
		{"topic longer than the packet", []byte{0x30, 3, 0, 9, 'a'}},
		{"empty topic", []byte{0x30, 3, 0, 0, 'a'}},
		{"no packet id", []byte{0x32, 3, 0, 1, 'a'}},
		{"packet id 0", []byte{0x32, 5, 0, 1, 'a', 0, 0}},
		{"PUBLISH without topic", []byte{0x30, 1, 0}},
		{"SUBACK without code", []byte{0x90, 2, 0, 1}},
		{"PINGRESP with a body", []byte{0xd0, 1, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
				b.push(tt.bytes...)
				wantEnd(t, s, mqttconn.CauseProtocol, "the broker sent")
			})
		})
	}
}
