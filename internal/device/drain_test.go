package device_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// backlog takes in readings of 100 bytes with topics of 30, 137 bytes each as PUBLISH.
func (w *world) backlog(messages int) {
	w.t.Helper()
	batch := make([]queue.Message, messages)
	for i := range batch {
		batch[i] = queue.Message{Topic: "site/" + strings.Repeat("t", 25), QoS: 1, Payload: []byte(fmt.Sprintf("%0100d", 1))}
	}
	if _, err := w.device.Agent().Accept(w.t.Context(), batch...); err != nil {
		w.t.Fatal(err)
	}
}

const publishBytes = 137

// TestDrainUsesTheUplink drains a backlog over the simulated GPRS link: 3000 bytes a second above RLC, of which a segment of
// 1448 bytes leaves 2862, since it carries 40 bytes of IP and TCP and 10 of LLC and SNDCP for each 496.
func TestDrainUsesTheUplink(t *testing.T) {
	messages := 2000
	if os.Getenv("FIELDPOST_FIGURES") != "" {
		messages = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.reached(1)
		begin := time.Now()
		w.backlog(messages)
		w.drained(20 * time.Minute)
		rate := float64(messages*publishBytes) / time.Since(begin).Seconds()
		const model = 3000 * 1448. / (1448 + 40 + 4*10)
		t.Logf("%.0f bytes/s of %.0f, %.2f", rate, float64(model), rate/model)
		figure(fmt.Sprintf("Drain/%d", messages), rate, "goodput:B/s", rate/model, "uplink_used")
		if rate < 0.9*model {
			t.Errorf("%.0f bytes/s, want at least 0.9 of the %.0f that the uplink has", rate, float64(model))
		}
		w.stop()
	})
}

// TestBreakInABurst breaks the connection in the middle of a backlog and counts what is sent in all.
func TestBreakInABurst(t *testing.T) {
	const messages = 400
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.reached(1)
		before := w.module.Stats().DataUp
		w.backlog(messages)
		time.Sleep(8 * time.Second)
		if w.device.Queue().Stats().Waiting == 0 {
			t.Error("all is delivered before the break: the test proves nothing")
		}
		w.hangUp()
		w.drained(20 * time.Minute)
		ratio := float64(w.module.Stats().DataUp-before) / (messages * publishBytes)
		t.Logf("sent %.3f of the ideal", ratio)
		figure("BreakInABurst", ratio, "payload_vs_ideal")
		if ratio > 1.15 {
			t.Errorf("sent %.2f times the messages' bytes, want at most 1.15", ratio)
		}
		w.stop()
	})
}
