package gsmnet_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestFM22_WeakSupply: a module that restarts whenever it sends is left alone for a while each time, and somebody is told.
func TestFM22_WeakSupply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Baud: 115200, Faults: gsmsim.Faults{ResetAfterSends: 1}}, gsmnet.Config{})
		begun := time.Now()
		attempts := 0
		for time.Since(begun) < time.Hour {
			c, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
			if err != nil {
				continue
			}
			f := <-r.far.conns
			go io.Copy(io.Discard, f)
			attempts++
			c.Write(make([]byte, 100))
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("data from nowhere")
			}
			c.Close()
			f.Close()
			if alarm := r.State().Alarm; (alarm != "") != (attempts >= 3) {
				t.Errorf("after %d restarts: alarm %q", attempts, alarm)
			}
		}
		if attempts < 10 || attempts > 23 {
			t.Errorf("%d attempts in an hour, want the first three at once and then one each 3 min", attempts)
		}
		if s := r.State().Alarm; !strings.Contains(s, "supply") {
			t.Errorf("alarm %q", s)
		}
		r.module.SetFaults(gsmsim.Faults{})
		c, f := r.dialed(t)
		roundTrip(t, c, f, 1000)
		time.Sleep(15 * time.Minute)
		if s := r.State().Alarm; s != "" {
			t.Errorf("a quarter of an hour without a restart: alarm %q", s)
		}
	})
}

// TestFM22_AskedForIsNoStorm: restarts that somebody asks for raise no alarm.
func TestFM22_AskedForIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Baud: 115200}, gsmnet.Config{})
		for range 5 {
			if err := r.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := r.Restart(t.Context(), false, true); err != nil {
				t.Fatal(err)
			}
		}
		if s := r.State().Alarm; s != "" {
			t.Errorf("alarm %q", s)
		}
	})
}

// TestFM19_RadioOffAndOn: while no network is found the radio is switched off and on, ever more rarely.
func TestFM19_RadioOffAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Network: gsmsim.Network{Register: 1000 * time.Hour}, SIM: gsmsim.SIM{PIN: "1234"}}, gsmnet.Config{PIN: "1234"})
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
		defer cancel()
		begun := time.Now()
		var cycles []time.Duration
		for ctx.Err() == nil {
			before := strings.Count(r.dialogue(), "AT+CFUN=0")
			err := r.Up(ctx)
			if cause := gsmnet.CauseOf(err); cause != gsmnet.CauseSearching {
				t.Fatalf("after %v: %v", time.Since(begun), err)
			}
			if strings.Count(r.dialogue(), "AT+CFUN=0") > before {
				cycles = append(cycles, time.Since(begun))
			}
			time.Sleep(10 * time.Second)
		}
		want := []time.Duration{10 * time.Minute, 40 * time.Minute, 100 * time.Minute, 160 * time.Minute, 220 * time.Minute, 280 * time.Minute, 340 * time.Minute}
		if len(cycles) != len(want) {
			t.Fatalf("cycles at %v, want %v", cycles, want)
		}
		for i := range want {
			if d := cycles[i] - want[i]; d < 0 || d > 3*time.Minute {
				t.Errorf("cycle %d at %v, want %v", i, cycles[i], want[i])
			}
		}
	})
}

// TestG9_2_G9_3_LimitsAreSettings: how long an answer is waited for before the module counts as hung is the user's to say.
func TestG9_2_G9_3_LimitsAreSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{CommandTimeout: 2 * time.Second, HangTimeout: 15 * time.Second, SafetyPoll: time.Second})
		c, _ := r.dialed(t)
		r.module.SetFaults(gsmsim.Faults{Hang: true})
		begun := time.Now()
		_, err := c.Read(make([]byte, 1))
		if gsmnet.CauseOf(err) != gsmnet.CausePower {
			t.Errorf("got %v, want cause power", err)
		}
		if got := time.Since(begun); got < 15*time.Second || got > 19*time.Second {
			t.Errorf("given up after %v, want about 2 and 15 s", got)
		}
	})
}
