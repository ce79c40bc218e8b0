package mqttconn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// downlinks is the sending half of a broker at QoS 1: it sends its messages after CONNACK, and again on the next connection
// what has no PUBACK.
type downlinks struct {
	handled func(payload string) bool

	mu     sync.Mutex
	acked  map[uint16]bool
	sent   map[uint16]bool
	faults []string
}

const commands = 3

func (d *downlinks) answer(p packet) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch p := p.(type) {
	case *packets.ConnectPacket:
		out := connackBytes(len(d.sent) > 0, 0)
		for id := uint16(1); id <= commands; id++ {
			if d.acked[id] {
				continue
			}
			first := byte(packets.Publish<<4 | 1<<1)
			if d.sent[id] {
				first |= 1 << 3 // DUP
			}
			d.sent[id] = true
			out = append(out, first, 6, 0, 1, 'c', 0, byte(id), byte('0'+id))
		}
		return out
	case *packets.PubackPacket:
		if d.acked[p.MessageID] {
			d.faults = append(d.faults, fmt.Sprintf("PUBACK %d came twice", p.MessageID))
		}
		if !d.handled(fmt.Sprint(p.MessageID)) {
			d.faults = append(d.faults, fmt.Sprintf("PUBACK %d came before the message was handled", p.MessageID))
		}
		d.acked[p.MessageID] = true
		return []byte{}
	}
	return nil
}

// TestInboundCutAtEveryMoment cuts the connection once at each moment of a delivery from the broker, with a process that lives on
// and one that is killed: every message is handled, in order but for repeats, and none is acknowledged that was not handled.
func TestInboundCutAtEveryMoment(t *testing.T) {
	moments := []string{"answered CONNECT 1"}
	for i := 1; i <= commands; i++ {
		moments = append(moments, fmt.Sprint("before PUBACK ", i), fmt.Sprint("after PUBACK ", i))
	}
	for _, killed := range []bool{false, true} {
		for _, at := range moments {
			t.Run(fmt.Sprintf("killed %v/%s", killed, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { inboundCut(t, at, killed) })
			})
		}
	}
}

func inboundCut(t *testing.T, at string, killed bool) {
	d := &downlinks{acked: make(map[uint16]bool), sent: make(map[uint16]bool)}
	var mu sync.Mutex
	var handled []string // what outlives the process
	dead := false
	d.handled = func(payload string) bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(handled, payload)
	}
	b := &fakeBroker{cutAt: at, answer: d.answer}
	if killed {
		b.onCut = func() { mu.Lock(); dead = true; mu.Unlock() }
	}
	handle := func(_ context.Context, m mqttconn.Delivery) error {
		time.Sleep(20 * time.Millisecond) // fsync
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return errors.New("the process is dead")
		}
		handled = append(handled, string(m.Payload))
		return nil
	}
	for range 2 {
		if s, err := mqttconn.Connect(t.Context(), b.dial, mqttconn.Config{ClientID: "pump-07", Handler: handle}); err == nil {
			time.Sleep(5 * time.Second)
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		mu.Lock()
		dead = false
		mu.Unlock()
	}
	b.group.Wait()

	if !b.hasCut {
		t.Fatal("nothing was cut")
	}
	var first []string
	for _, h := range handled {
		if !slices.Contains(first, h) {
			first = append(first, h)
		}
	}
	if !slices.Equal(first, []string{"1", "2", "3"}) {
		t.Errorf("handled %q, want each, in order", handled)
	}
	for id := uint16(1); id <= commands; id++ {
		if !d.acked[id] {
			t.Errorf("message %d was handled and never acknowledged", id)
		}
	}
	for _, f := range d.faults {
		t.Error(f)
	}
}
