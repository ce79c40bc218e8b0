package gsmnet_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestFM20_RebootInTheMiddleOfASend(t *testing.T) {
	noRDY := gsmsim.Faults{DropURCs: 1 << 30, DropURC: "RDY"}
	for name, sim := range map[string]gsmsim.Config{
		"said by RDY":       {Baud: 115200},
		"seen by its echo":  {Baud: 115200, Faults: noRDY},
		"seen by its state": {Faults: noRDY},                                     // the driver has saved the rate, and with it that echo is off
		"heard by AT alone": {Model: gsmsim.Model{BareSync: true, NoSave: true}}, // it looks for its speed, and says nothing before
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, sim, gsmnet.Config{})
				c, f := r.dialed(t)
				go io.Copy(io.Discard, f)
				go c.Write(make([]byte, 30_000))
				time.Sleep(3100 * time.Millisecond)
				before := c.Acked()
				r.module.Reboot()
				begun := time.Now()
				_, err := c.Read(make([]byte, 1))
				if cause := gsmnet.CauseOf(err); cause != gsmnet.CausePower && cause != gsmnet.CauseLink {
					t.Errorf("got %v, want the end of the connection", err)
				}
				if took := time.Since(begun); took > 50*time.Second {
					t.Errorf("noticed after %v", took)
				}
				c2, f2 := r.dialed(t)
				if c2.Acked() != 0 || c.Acked() < before {
					t.Errorf("acked: new %d, old %d", c2.Acked(), c.Acked())
				}
				roundTrip(t, c2, f2, 3000)
			})
		})
	}
}

// TestFM20_RebootWhileNothingHappens: the next dial must not take the module for the one that was set up.
func TestFM20_RebootWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{DropURCs: 1 << 30, DropURC: "RDY"}}, gsmnet.Config{})
		c, _ := r.dialed(t)
		c.Close()
		time.Sleep(20 * time.Second)
		r.module.Reboot()
		time.Sleep(20 * time.Second)
		c, f := r.dialed(t)
		roundTrip(t, c, f, 3000)
		if s := r.Stats(); s.Activations != 2 || s.Restarts == 0 {
			t.Errorf("%+v", s)
		}
	})
}
