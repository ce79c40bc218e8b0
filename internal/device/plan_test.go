package device_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/plan"
	"github.com/fieldpost/fieldpost/queue"
)

// TestPlanAgreesWithTheAir plans readings and then sends them through the simulated module.
func TestPlanAgreesWithTheAir(t *testing.T) {
	for _, tc := range []struct {
		name  string
		every time.Duration
		size  int
		qos   byte
		hours int
	}{
		{"a reading a minute", time.Minute, 12, 1, 1},
		{"a reading a minute at QoS 0", time.Minute, 12, 0, 1},
		{"a reading a minute at QoS 2", time.Minute, 12, 2, 1},
		{"one each ten seconds", 10 * time.Second, 100, 1, 1},
		{"a large one each 20 minutes, and pings", 20 * time.Minute, 1000, 1, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const topic = "air/pump-07/pressure"
			synctest.Test(t, func(t *testing.T) {
				var cfg *config.Config
				w := newWorld(t, nil, func(c *config.Config) {
					c.Broker.Keepalive, c.Broker.QoS = config.Auto(540*time.Second), int(tc.qos)
					cfg = c
				})
				w.reached(1)
				before := w.module.Stats()
				span := time.Duration(tc.hours) * time.Hour
				for range int(span / tc.every) {
					if _, err := w.device.Agent().Accept(t.Context(), queue.Message{Topic: topic, QoS: tc.qos, Payload: make([]byte, tc.size)}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(tc.every)
				}
				after := w.module.Stats()
				on := float64(after.AirUp + after.AirDown - before.AirUp - before.AirDown)
				p := plan.Of(plan.Configured(cfg, []plan.Flow{{Topic: topic, Every: tc.every, Payload: tc.size}}))
				planned := float64(p.Total) * float64(span) / float64(plan.Month)
				t.Logf("planned %.0f, on the air %.0f: %+.1f %%", planned, on, 100*(planned-on)/on)
				if off := (planned - on) / on; off > 0.05 || off < -0.05 {
					t.Errorf("planned %.0f bytes, %.0f were on the air: %+.1f %%, want within 5 %%; %+v", planned, on, 100*off, p)
				}
				w.stop()
			})
		})
	}
}
