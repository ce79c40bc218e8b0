package device_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/envelope"
)

// TestBatchesOverCutConnections breaks the connection again and again under batches at QoS 2, over the simulated module: each
// reading arrives once, and each lane in order.
func TestBatchesOverCutConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readings = 600
		var got []envelope.Reading
		messages := 0
		w := newWorld(t, nil, func(c *config.Config) {
			c.Encoding.Format, c.Encoding.Compress = config.FormatBatch, config.CompressDeflate
			c.Encoding.Batch.MaxMessages = 7
		})
		if err := w.server.Subscribe("pump-07/batch", 2, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
			m, err := envelope.NewDecoder().Decode(pk.Payload)
			if err != nil {
				t.Error(err)
			}
			messages++
			got = append(got, m.Readings...)
		}); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= readings; n++ {
			w.acceptQoS(n, 2)
		}
		for cut := range 12 {
			for !w.device.Agent().Status().Link.Connected {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(700*time.Millisecond + time.Duration(cut)*311*time.Millisecond)
			w.hangUp()
			time.Sleep(100 * time.Millisecond)
		}
		w.drained(time.Hour)
		st := w.device.Agent().Status()
		w.stop()
		if len(got) != readings {
			t.Errorf("%d readings arrived, want %d, each once", len(got), readings)
		}
		for i, r := range got {
			if string(r.Payload) != strconv.Itoa(i+1) {
				t.Fatalf("arrival %d is %s, want it in order", i+1, r.Payload)
			}
		}
		if st.Delivery.Repeated == 0 {
			t.Error("no message was under way when a connection broke: the test shows nothing")
		}
		t.Logf("%d sessions, %d messages repeated, %d MQTT messages", st.Link.Sessions, st.Delivery.Repeated, messages)
	})
}
