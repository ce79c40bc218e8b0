package device_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/queue"
)

// accounted is what the agent has counted so far, of each direction.
func (w *world) accounted() (up, down usage.Bytes) {
	w.t.Helper()
	m := w.device.Agent().Status().Usage.Month
	return m.Up, m.Down
}

// TestAccountAgreesWithTheAir compares what the agent counts with what the simulated module puts on the air.
func TestAccountAgreesWithTheAir(t *testing.T) {
	topic := "site/" + strings.Repeat("t", 25)
	put := func(w *world, n int, qos byte) {
		w.t.Helper()
		batch := make([]queue.Message, n)
		for i := range batch {
			batch[i] = queue.Message{Topic: topic, QoS: qos, Payload: []byte(fmt.Sprintf("%0100d", 1))}
		}
		if _, err := w.device.Agent().Accept(w.t.Context(), batch...); err != nil {
			w.t.Fatal(err)
		}
		w.drained(20 * time.Minute)
	}
	for _, tc := range []struct {
		name string
		most float64 // how far the account may be off
		do   func(*world)
	}{
		{"a backlog at QoS 1", 0.05, func(w *world) { put(w, 1000, 1) }},
		{"a backlog at QoS 0", 0.05, func(w *world) { put(w, 1000, 0) }},
		{"a backlog at QoS 2", 0.05, func(w *world) { put(w, 300, 2) }},
		{"a reading a minute", 0.02, func(w *world) {
			for range 100 {
				put(w, 1, 1)
				time.Sleep(time.Minute)
			}
		}},
		{"pings", 0.02, func(w *world) { time.Sleep(3 * time.Hour) }},
		{"connections", 0.20, func(w *world) {
			for range 10 {
				w.hangUp()
				time.Sleep(5 * time.Minute)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.reached(1)
				up0, down0 := w.accounted()
				before := w.module.Stats()
				tc.do(w)
				time.Sleep(time.Minute)
				after := w.module.Stats()
				up, down := w.accounted()
				for _, side := range []struct {
					name        string
					counted, on int64
				}{
					{"up", up.Total() - up0.Total(), int64(after.AirUp - before.AirUp)},
					{"down", down.Total() - down0.Total(), int64(after.AirDown - before.AirDown)},
				} {
					t.Logf("%s: counted %d, on the air %d: %+.1f %%", side.name, side.counted, side.on, 100*float64(side.counted-side.on)/float64(side.on))
				}
				counted, on := up.Total()+down.Total()-up0.Total()-down0.Total(), int64(after.AirUp+after.AirDown-before.AirUp-before.AirDown)
				if off := float64(counted-on) / float64(on); off > tc.most || off < -tc.most {
					t.Errorf("counted %d bytes, %d were on the air: %+.1f %%, want within %.0f %%", counted, on, 100*off, 100*tc.most)
				}
				w.stop()
			})
		})
	}
}

func TestRepeatsAreCounted(t *testing.T) {
	for _, qos := range []byte{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(c *gsmsim.Config) { c.Faults.CutAfterSends = 3 })
			const readings = 300 // so many that they don't fit into the sends before the cut
			for n := 1; n <= readings; n++ {
				w.acceptQoS(n, qos)
			}
			time.Sleep(2 * time.Minute)
			w.module.SetFaults(gsmsim.Faults{})
			w.drained(30 * time.Minute)
			repeats := w.check(readings)
			up, _ := w.accounted()
			if up.Repeats == 0 || repeats == 0 && up.Payload == 0 {
				t.Errorf("QoS %d: %d bytes of repeats, want some: a connection was cut under way", qos, up.Repeats)
			}
			w.stop()
		})
	}
}

func TestBudgetHoldsAllButAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, func(c *config.Config) {
			c.Budget.MonthlyBytes, c.Budget.Reserve = 30_000, 10_000
			c.Broker.Keepalive = config.Auto(9 * time.Minute)
		})
		put := func(n int, lane queue.Lane) {
			t.Helper()
			batch := make([]queue.Message, n)
			for i := range batch {
				batch[i] = queue.Message{Topic: "air/" + lane.String(), QoS: 1, Lane: lane, Payload: make([]byte, 100)}
			}
			if _, err := w.device.Agent().Accept(t.Context(), batch...); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
		}
		put(300, queue.Normal)
		st := w.device.Agent().Status()
		waiting := st.Queue.Lanes["normal"]
		if waiting == 0 || st.Verdict != agent.VerdictBlocked || st.Usage.Held != usage.HoldNormal || !strings.Contains(st.Reason, "data budget") {
			t.Errorf("after 300 readings: %d wait, %s: %s; want some held and said", waiting, st.Verdict, st.Reason)
		}
		// What is under way when the limit is reached still goes: a window, and the answers to it.
		if used := st.Usage.MonthBytes; used < 20_000 || used > 20_000+17_000 {
			t.Errorf("%d bytes used, want 20 000 and what was under way", used)
		}
		put(5, queue.Alarm)
		st = w.device.Agent().Status()
		if st.Queue.Lanes["alarm"] != 0 || st.Queue.Lanes["normal"] != waiting {
			t.Errorf("of 5 alarms %d wait, and %d readings, want 0 and %d", st.Queue.Lanes["alarm"], st.Queue.Lanes["normal"], waiting)
		}
		put(200, queue.Alarm)
		st = w.device.Agent().Status()
		if st.Queue.Lanes["alarm"] == 0 || st.Usage.Held != usage.HoldEverything || !strings.Contains(st.Reason, "everything waits") {
			t.Errorf("after 200 alarms: %d wait, %s: %s; want the rest held", st.Queue.Lanes["alarm"], st.Verdict, st.Reason)
		}
		w.stop()
	})
}
