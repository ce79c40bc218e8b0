package gsmnet_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestFM24_SlowLossyLink: 300 B/s, 2 s, a tenth lost. What is sent arrives, with no timeout that isn't one: no command, no connection and
// no restart is given up on the way.
func TestFM24_SlowLossyLink(t *testing.T) {
	for _, window := range []int{1460, 2 * 1460, 4 * 1460} {
		synctest.Test(t, func(t *testing.T) {
			radio := gsmsim.Radio{Up: 300, Down: 300, RTT: 2 * time.Second, Loss: 0.1}
			r := newRig(t, gsmsim.Config{Radio: radio}, gsmnet.Config{Window: window})
			c, f := r.dialed(t)
			roundTrip(t, c, f, 20_000)
			if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
				t.Error(err)
			}
			if s := r.Stats(); s.Timeouts > 0 || s.Broken > 0 || s.Restarts > 0 || s.Dials != 1 || s.SendFails > 0 {
				t.Errorf("window %d: %+v", window, s)
			}
		})
	}
}

// TestFM2_NoPrompt: nothing is sent blindly, and what was not taken is not counted.
func TestFM2_NoPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{NoPrompt: 3}}, gsmnet.Config{})
		c, f := r.dialed(t)
		go c.Write(make([]byte, 100))
		time.Sleep(25 * time.Second)
		if s := r.Stats(); s.PayloadOut != 0 || c.Acked() != 0 || s.Timeouts == 0 {
			t.Errorf("without a prompt: acked %d, %+v", c.Acked(), s)
		}
		if _, err := io.ReadFull(f, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitAcked(t.Context(), 100); err != nil {
			t.Error(err)
		}
		if s := r.Stats(); s.PayloadOut != 100 || s.Broken != 0 {
			t.Errorf("with one: %+v", s)
		}
	})
}
