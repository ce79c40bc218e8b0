package device_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestFH13_StopEndsInTime: whatever the module does, a stop keeps below the 10 s that the docs promise.
func TestFH13_StopEndsInTime(t *testing.T) {
	for _, tc := range []struct {
		name    string
		from    gsmsim.Faults // since the start
		then    gsmsim.Faults // once the first reading has arrived
		waiting int           // readings that come then
		most    time.Duration
	}{
		{name: "idle and well", most: 3 * time.Second},
		{name: "idle, the module is silent", then: gsmsim.Faults{Hang: true}, most: 9500 * time.Millisecond},
		{name: "under way, the module is silent", then: gsmsim.Faults{Hang: true}, waiting: 50, most: 9500 * time.Millisecond},
		{name: "the port takes no byte", then: gsmsim.Faults{HoldFlow: true}, waiting: 50, most: 9500 * time.Millisecond},
		{name: "no prompt", then: gsmsim.Faults{NoPrompt: 100}, waiting: 50, most: 9500 * time.Millisecond},
		{name: "no proof", then: gsmsim.Faults{FreezeAcks: true}, waiting: 200, most: 9 * time.Second},
		{name: "QICLOSE takes two minutes", then: gsmsim.Faults{SlowClose: true}, most: 9500 * time.Millisecond},
		{name: "QIACT takes for ever", from: gsmsim.Faults{StickActivate: true}, waiting: 5, most: 9500 * time.Millisecond},
		{name: "QIOPEN takes for ever", from: gsmsim.Faults{StickConnect: true}, waiting: 5, most: 9500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *gsmsim.Config) { c.Faults = tc.from })
				if tc.from == (gsmsim.Faults{}) {
					w.accept(1)
					w.drained(time.Minute)
				}
				time.Sleep(30 * time.Second)
				w.module.SetFaults(tc.then)
				if tc.from != (gsmsim.Faults{}) {
					w.module.SetFaults(tc.from)
				}
				if tc.waiting > 0 {
					w.backlog(tc.waiting)
				}
				time.Sleep(3 * time.Second)
				begun := time.Now()
				w.stop()
				if took := time.Since(begun); took > tc.most {
					t.Errorf("the stop took %v, want %v at most", took, tc.most)
				} else {
					t.Log(took)
				}
			})
		})
	}
}
