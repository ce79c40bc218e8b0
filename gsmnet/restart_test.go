package gsmnet_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestG9_4_FM1_RestartsAreSpaced: a module that never answers is restarted at once, after 10 and 30 minutes, and each hour, also when
// the program itself is started anew each time.
func TestG9_4_FM1_RestartsAreSpaced(t *testing.T) {
	for _, anew := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "modem.json")
			module := gsmsim.New(gsmsim.Config{Off: true})
			defer module.Close()
			begun := time.Now()
			var at []time.Duration
			cfg := gsmnet.Config{StateFile: file, Restart: func(context.Context) error {
				at = append(at, time.Since(begun).Round(time.Minute))
				return nil
			}}
			open := func() *gsmnet.Modem {
				m, err := gsmnet.Open(module.Wire(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			m := open()
			for time.Since(begun) < 4*time.Hour {
				if err := m.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CausePower {
					t.Fatalf("got %v, want cause power", err)
				}
				if anew {
					m.Close()
					m = open()
				}
				time.Sleep(20 * time.Second)
			}
			m.Close()
			var waits []time.Duration
			for i, x := range at {
				if i > 0 {
					x -= at[i-1]
				}
				waits = append(waits, x.Round(5*time.Minute))
			}
			want := []time.Duration{0, 10 * time.Minute, 30 * time.Minute, time.Hour, time.Hour, time.Hour}
			if d := cmp.Diff(want, waits); d != "" {
				t.Errorf("started anew %v: %s", anew, d)
			}
		})
	}
}

// TestG9_3_ActivationThatHangs: past 180 s the module is restarted at once, from outside and with no question in between.
func TestG9_3_ActivationThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		restarts := 0
		r = newRig(t, gsmsim.Config{Baud: 115200, Faults: gsmsim.Faults{StickActivate: true}}, gsmnet.Config{
			Restart: func(context.Context) error {
				restarts++
				r.module.SetFaults(gsmsim.Faults{})
				r.module.Reboot()
				return nil
			}})
		begun := time.Now()
		if err := r.Up(t.Context()); err != nil {
			t.Error(err)
		}
		if got := time.Since(begun); got < 180*time.Second || got > 220*time.Second {
			t.Errorf("up after %v, want 180 s and a start", got)
		}
		_, after, _ := strings.Cut(r.trace.String(), "AT+QIACT")
		if between, _, _ := strings.Cut(after, "RDY"); strings.Contains(between, "CSQ") {
			t.Error("the module was asked something before it was restarted")
		}
		c, f := r.dialed(t)
		roundTrip(t, c, f, 100)
		if restarts != 1 {
			t.Errorf("%d restarts, want 1", restarts)
		}
	})
}

func TestFM22_ConnectionEndsTheRowOfRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		restarts := 0
		r = newRig(t, gsmsim.Config{Baud: 115200, Off: true}, gsmnet.Config{Restart: func(context.Context) error {
			restarts++
			r.module.SetPowerKey(true)
			time.Sleep(time.Second)
			r.module.SetPowerKey(false)
			return nil
		}})
		for range 2 {
			c, f := r.dialed(t)
			roundTrip(t, c, f, 100)
			c.Close()
			f.Close()
			r.module.SetSupply(false)
			time.Sleep(2 * time.Minute) // the driver notices by its looks at the idle module
			r.module.SetSupply(true)
		}
		if restarts != 2 {
			t.Errorf("%d restarts, want one for each time it was off", restarts)
		}
		if s := r.trace.String(); strings.Contains(s, "CFUN=1,1") {
			t.Error("a module that was off was told to restart")
		}
	})
}
