package gsmnet_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestG2_3_DialWithoutNetwork: the network goes while a context stands and nothing is open. A dial waits for it, and then goes on at
// once; it doesn't ask the module to open a connection through nothing.
func TestG2_3_DialWithoutNetwork(t *testing.T) {
	for name, faults := range map[string]gsmsim.Faults{
		"reported":     {},
		"not reported": {DropURCs: 1 << 30, DropURC: "+CREG"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Faults: faults}, gsmnet.Config{})
				if err := r.Up(t.Context()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				r.module.SetCoverage(false)
				time.Sleep(time.Minute)
				back := make(chan time.Time, 1)
				time.AfterFunc(time.Minute, func() {
					if s := r.State(); s.Step != gsmnet.StepRegistration || !strings.Contains(s.Detail, "network") {
						t.Errorf("while there is none: %+v", s)
					}
					if strings.Contains(r.dialogue(), "AT+QIOPEN") {
						t.Error("a connection was asked for without a network")
					}
					r.module.SetCoverage(true)
					back <- time.Now()
				})
				c, f := r.dialed(t)
				if took := time.Since(<-back); took > 8*time.Second {
					t.Errorf("connected %v after the network was back, want the 3 s that it needs and a few exchanges", took)
				}
				roundTrip(t, c, f, 100)
				if got := r.Stats().Activations; got != 1 {
					t.Errorf("%d activations, want the one of the beginning", got)
				}
			})
		})
	}
}

// TestG2_3_NoNetworkIsNotADeadServer: what is missing has its own cause, before the connection is opened and after that has failed.
func TestG2_3_NoNetworkIsNotADeadServer(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
			if err := r.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.module.SetCoverage(false)
			time.Sleep(time.Minute)
			_, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
			if gsmnet.CauseOf(err) != gsmnet.CauseSearching {
				t.Errorf("got %v, want cause searching", err)
			}
			if s := r.State(); s.Step != gsmnet.StepRegistration || gsmnet.CauseOf(s.Err) != gsmnet.CauseSearching {
				t.Errorf("state %+v", s)
			}
		})
	})
	t.Run("after", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var r *rig
			r = newRigWith(t, gsmsim.Config{}, gsmnet.Config{}, func() error {
				go r.module.SetCoverage(false)
				time.Sleep(20 * time.Second)
				return errors.New("nobody there")
			})
			_, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
			if gsmnet.CauseOf(err) != gsmnet.CauseSearching {
				t.Errorf("got %v, want cause searching", err)
			}
		})
	})
}

// TestG9_1_FixedAtAnotherSpeed: whoever had the module before has fixed it at another speed. It is found there, and fixed at ours.
func TestG9_1_FixedAtAnotherSpeed(t *testing.T) {
	for _, speed := range []int{9600, 57600, 4800} {
		synctest.Test(t, func(t *testing.T) {
			f := newFar()
			module := gsmsim.New(gsmsim.Config{Baud: speed, Dial: f.dial})
			defer module.Close()
			w := module.Wire()
			w.SetBaud(115200)
			m, err := gsmnet.Open(w, gsmnet.Config{APN: "internet.example", Baud: 115200})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			begun := time.Now()
			var c net.Conn
			if c, err = m.DialContext(t.Context(), "tcp", "192.0.2.1:1883"); err != nil {
				t.Fatalf("%d baud: %v", speed, err)
			}
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("%d baud: connected after %v", speed, took)
			}
			roundTrip(t, c, <-f.conns, 1000)
			module.Reboot()
			time.Sleep(20 * time.Second)
			if c, err = m.DialContext(t.Context(), "tcp", "192.0.2.1:1883"); err != nil {
				t.Fatalf("%d baud, after a restart: %v", speed, err)
			}
			roundTrip(t, c, <-f.conns, 1000)
			drain(f)
		})
	}
}
