package device_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestADayWithoutLoss is a day of a reading a minute, with three losses of coverage and a NAT that forgets in silence.
func TestADayWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *gsmsim.Config) { c.Network.LoseAfter = 10 * time.Minute })
		const readings = 24 * 60
		for n := 1; n <= readings; n++ {
			switch n {
			case 3 * 60, 9 * 60, 15 * 60:
				w.module.SetCoverage(false)
			case 3*60 + 2, 9*60 + 120, 15*60 + 20:
				w.module.SetCoverage(true)
			case 20 * 60:
				w.module.ForgetNAT()
			}
			w.accept(n)
			time.Sleep(time.Minute)
		}
		w.drained(10 * time.Minute)
		repeats := w.check(readings)
		st := w.device.Agent().Status()
		t.Logf("%d sessions, %d dials, %d repeats, outages: %v", st.Link.Sessions, w.dials, repeats, outageTexts(st.Outages))
		if st.Link.Sessions < 3 {
			t.Errorf("got %d sessions: the faults of the day did not happen", st.Link.Sessions)
		}
		if st.Delivery.Delivered != readings {
			t.Errorf("%d messages were released, want %d", st.Delivery.Delivered, readings)
		}
		w.stop()
	})
}

// TestNothingIsReleasedThatQISACKDidNotCover resets the connection right after its first, second, third … QISEND, when
// the module has said SEND OK and the bytes have not come anywhere: whatever was in them has to be sent again.
func TestNothingIsReleasedThatQISACKDidNotCover(t *testing.T) {
	const readings = 40
	for _, qos := range []byte{0, 1} {
		cuts := 0
		for sends := 1; sends <= 12; sends++ {
			t.Run(fmt.Sprintf("QoS %d after %d", qos, sends), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, func(c *gsmsim.Config) { c.Faults.CutAfterSends = sends })
					for n := 1; n <= readings/2; n++ {
						w.acceptQoS(n, qos)
					}
					time.Sleep(time.Minute)
					for n := readings/2 + 1; n <= readings; n++ {
						w.acceptQoS(n, qos)
						time.Sleep(time.Second)
					}
					w.module.SetFaults(gsmsim.Faults{})
					w.drained(30 * time.Minute)
					w.check(readings)
					if w.module.Stats().Connects > 1 {
						cuts++
					}
					w.stop()
				})
			})
		}
		if cuts < 6 {
			t.Errorf("QoS %d: the connection was cut in %d runs only: the test proves little", qos, cuts)
		}
	}
}

func outageTexts(list []agent.Outage) []string {
	var texts []string
	for _, o := range list {
		if o.Until != nil {
			texts = append(texts, fmt.Sprintf("%s for %s", o.Cause, agent.Span(o.Until.Sub(o.From))))
		}
	}
	return texts
}
