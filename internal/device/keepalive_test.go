package device_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

const (
	day      = 24 * time.Hour
	settling = 8 * time.Hour // a search ends after some 60 pings
	measured = 2 * time.Hour
)

// TestKeepaliveSettlesBelowThePatienceOfTheNetwork leaves an agent idle behind gateways of different patience.
func TestKeepaliveSettlesBelowThePatienceOfTheNetwork(t *testing.T) {
	for _, tc := range []struct {
		patience time.Duration
		most     int // connections lost while settling
		long     bool
	}{{time.Minute, 6, false}, {5 * time.Minute, 5, true}, {9 * time.Minute, 6, true}, {30 * time.Minute, 0, true}} {
		t.Run(tc.patience.String(), func(t *testing.T) {
			if tc.long && os.Getenv("FIELDPOST_SOAK")+os.Getenv("FIELDPOST_FIGURES") == "" {
				t.Skip("takes 10 s of processor time: FIELDPOST_SOAK=1 runs it; package keepalive tests the same without a module")
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *gsmsim.Config) { c.NATIdle = tc.patience })
				w.reached(1)
				time.Sleep(settling)
				first := w.device.Agent().Status().Link
				before := w.module.Stats()
				time.Sleep(measured)
				after := w.module.Stats()
				second := w.device.Agent().Status().Link
				air := uint64(day/measured) * (after.AirUp + after.AirDown - before.AirUp - before.AirDown)
				interval := time.Duration(second.Keepalive.IntervalSeconds) * time.Second
				ideal := min(tc.patience, 20*time.Minute)
				t.Logf("%v in %q after %d sessions in %v and %d later; %d bytes a day, 270 s would cost %d",
					interval, second.Keepalive.Network, first.Sessions, settling, second.Sessions-first.Sessions, air, int(day/(270*time.Second))*124)
				figure("Keepalive/patience="+tc.patience.String(), interval.Seconds(), "interval:s", float64(air), "keepalive_bytes_a_day:B",
					float64(first.Sessions-1), "lost_while_learning")
				if interval > ideal || interval < ideal*85/100 {
					t.Errorf("settled at %v, want at most %v and not far below", interval, ideal)
				}
				if got := first.Sessions - 1; got > uint64(tc.most) {
					t.Errorf("%d connections lost in %v, want at most %d", got, settling, tc.most)
				}
				if most := uint64(day/ideal) * 124 * 125 / 100; air > most {
					t.Errorf("%d bytes a day on an idle line, want at most %d", air, most)
				}
				w.stop()
			})
		})
	}
}

// TestNoPingWhileMessagesFlow sends a reading a minute for two hours, and then none.
func TestNoPingWhileMessagesFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.reached(1)
		pings := func(during func()) (bytes int64) {
			up, down := w.accounted()
			during()
			upAfter, downAfter := w.accounted()
			return upAfter.Keepalive - up.Keepalive + downAfter.Keepalive - down.Keepalive
		}
		flowing := pings(func() {
			for n := range 120 {
				w.accept(n + 2)
				time.Sleep(time.Minute)
			}
		})
		idle := pings(func() { time.Sleep(2 * time.Hour) })
		t.Logf("%d bytes of pings in two hours of readings, %d in two idle ones", flowing, idle)
		figure("Keepalive/flowing", float64(flowing), "ping_while_messages_flow:B", float64(idle), "ping_while_idle:B")
		if flowing != 0 {
			t.Errorf("%d bytes of pings beside a reading a minute, want none", flowing)
		}
		if idle == 0 {
			t.Error("no pings on an idle connection: the test proves nothing")
		}
		w.stop()
	})
}

// TestOtherLossesDontShortenTheKeepalive ends idle connections for every other reason.
func TestOtherLossesDontShortenTheKeepalive(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"coverage, 20 minutes": func(w *world) {
			w.module.SetCoverage(false)
			time.Sleep(20 * time.Minute)
			w.module.SetCoverage(true)
		},
		"coverage, 8 minutes": func(w *world) {
			w.module.SetCoverage(false)
			time.Sleep(8 * time.Minute)
			w.module.SetCoverage(true)
		},
		"context":          func(w *world) { w.module.DropContext() },
		"broker restarted": func(w *world) { w.hangUp() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, func(c *config.Config) { c.Broker.KeepaliveMax = config.Duration(9 * time.Minute) })
				w.reached(1)
				for range 4 {
					time.Sleep(25 * time.Minute)
					lose(w)
				}
				time.Sleep(time.Hour)
				st := w.device.Agent().Status().Link
				if st.Sessions < 2 {
					t.Errorf("%d sessions: nothing was lost", st.Sessions)
				}
				if got := st.Keepalive.IntervalSeconds; got != 540 {
					t.Errorf("%d s after %d sessions, want 540 as at the beginning", got, st.Sessions)
				}
				w.stop()
			})
		})
	}
}

func TestKeepaliveIsRememberedAndCanBeFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dir string
		w := newWorld(t, func(c *gsmsim.Config) { c.NATIdle = 5 * time.Minute }, func(c *config.Config) { dir = c.DataDir })
		w.reached(1)
		time.Sleep(3 * time.Hour)
		learned := w.device.Agent().Status().Link.Keepalive.IntervalSeconds
		w.stop()
		again := newWorld(t, func(c *gsmsim.Config) { c.NATIdle = 5 * time.Minute }, func(c *config.Config) { c.DataDir = dir })
		again.reached(2)
		if got := again.device.Agent().Status().Link.Keepalive.IntervalSeconds; got != learned || got >= 300 {
			t.Errorf("after a restart: %d s, want the %d that were learned", got, learned)
		}
		again.stop()
		fixed := newWorld(t, nil, func(c *config.Config) { c.Broker.Keepalive = config.Auto(4 * time.Minute) })
		fixed.reached(1)
		time.Sleep(time.Hour)
		if got := fixed.device.Agent().Status().Link.Keepalive; got.IntervalSeconds != 240 || got.Learned {
			t.Errorf("fixed: got %+v, want 240 s, not learned", got)
		}
		fixed.stop()
	})
}
