package mqttconn_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// message is a PUBLISH from the broker of any length.
func message(t *testing.T, qos byte, id uint16, topic string, size int) []byte {
	t.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = qos, id, topic, make([]byte, size)
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A message that is too large must not end the session: the broker would send it again on the next, and so on.
func TestOversizeIsReadPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &inboxHandler{}
		b := &fakeBroker{}
		var told []string
		s := connect(t, b.dial, mqttconn.Config{
			ClientID: "pump-07", Handler: h.handle, MaxInbound: 100,
			Oversize: func(topic string, size int) { told = append(told, fmt.Sprint(topic, " ", size)) },
		})
		b.push(message(t, 1, 1, "cmd", 100-2-2-3-2)...) // exactly the limit
		b.push(message(t, 0, 0, "cmd/a", 200)...)
		b.push(message(t, 1, 2, "cmd/b", 5000)...)
		b.push(message(t, 2, 3, "cmd/c", 200_000)...)
		b.push(packets.Pubrel<<4|2, 2, 0, 3)
		b.push(message(t, 1, 4, "cmd", 0)...)
		synctest.Wait()
		if got := len(h.all()); got != 2 {
			t.Errorf("delivered: got %d messages, want the first and the last: %v", got, s.Err())
		}
		if got, want := b.count("PUBACK"), 3; got != want {
			t.Errorf("PUBACK: got %d, want %d", got, want)
		}
		if rec, comp := b.count("PUBREC"), b.count("PUBCOMP"); rec != 1 || comp != 1 {
			t.Errorf("QoS 2: got %d PUBREC and %d PUBCOMP, want one of each", rec, comp)
		}
		if got, want := strings.Join(told, ", "), "cmd/a 210, cmd/b 5012, cmd/c 200013"; got != want {
			t.Errorf("told of %q, want %q", got, want)
		}
		if got := s.Stats().Oversize; got != 3 {
			t.Errorf("stats: got %d oversize messages, want 3", got)
		}
	})
}

func TestOversizeEndsTheSession(t *testing.T) {
	for name, p := range map[string][]byte{
		"256 MiB announced":    {0x30, 0xff, 0xff, 0xff, 0x7f},
		"topic over the limit": {0x32, 0xc8, 0x01, 0, 150, 'a'},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{}
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", MaxInbound: 100})
				b.push(p...)
				wantEnd(t, s, mqttconn.CauseOversize, "over the limit of 100")
			})
		})
	}
}
