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

// figure prints a measurement in the form of a Go benchmark, for scripts/bench, when that asks for it.
func figure(name string, values ...any) {
	if os.Getenv("FIELDPOST_FIGURES") == "" {
		return
	}
	text := "Benchmark" + name + " 1"
	for i := 0; i < len(values); i += 2 {
		text += fmt.Sprintf(" %.4g %s", values[i], values[i+1])
	}
	fmt.Println(text)
}

// TestBytesOnTheAir sends a backlog of messages of 100 bytes with topics of 30, which are 137 bytes each as PUBLISH, and
// counts what the module puts on the air for each: IP packets with headers, both ways, all but the connect.
func TestBytesOnTheAir(t *testing.T) {
	const messages = 1000
	for _, tc := range []struct {
		qos  byte
		want float64 // bytes a message; clients that pipeline over a kernel need 145 (QoS 0) and 152 to 154 (QoS 1) on such a link
	}{
		{qos: 0, want: 146}, {qos: 1, want: 154}, // with room for how the scheduler happens to cut the batches
	} {
		t.Run(fmt.Sprintf("QoS %d", tc.qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.reached(1) // connected, and the first message is gone
				before := w.module.Stats()
				begin := time.Now()
				m := queue.Message{Topic: "site/" + strings.Repeat("t", 25), QoS: tc.qos, Payload: []byte(fmt.Sprintf("%0100d", 1))}
				batch := make([]queue.Message, messages)
				for i := range batch {
					batch[i] = m
				}
				if _, err := w.device.Agent().Accept(t.Context(), batch...); err != nil {
					t.Fatal(err)
				}
				w.drained(10 * time.Minute)
				took := time.Since(begin)
				after := w.module.Stats()
				up, down := float64(after.AirUp-before.AirUp)/messages, float64(after.AirDown-before.AirDown)/messages
				sends := float64(after.Sends-before.Sends) / messages
				rate := messages / took.Seconds()
				t.Logf("%.1f bytes up and %.1f down a message, %.3f sends a message, %.1f messages/s", up, down, sends, rate)
				figure(fmt.Sprintf("Backlog/QoS%d", tc.qos), up, "up:B/msg", down, "down:B/msg", up+down, "air:B/msg",
					sends, "sends:1/msg", rate, "rate:msg/s")
				if up+down > tc.want {
					t.Errorf("%.1f bytes on the air a message, want at most %.0f", up+down, tc.want)
				}
				if sends > 0.12 {
					t.Errorf("%.3f AT+QISEND a message, want at most 0.12: they are not gathered", sends)
				}
				w.stop()
			})
		})
	}
}
