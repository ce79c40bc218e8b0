package gsmnet_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// wires lead to a simulated module's pins and note what is pulled.
type wires struct {
	module *gsmsim.Module
	pulled []string
	onRuns int // how often PWRKEY was pressed while STATUS was high
}

func (w *wires) powerKey(low bool) error {
	if low {
		w.pulled = append(w.pulled, "PWRKEY")
		if w.module.Status() {
			w.onRuns++
		}
	}
	w.module.SetPowerKey(low)
	return nil
}

func (w *wires) emergOff(low bool) error {
	if low {
		w.pulled = append(w.pulled, "EMERG_OFF")
	}
	w.module.SetEmergOff(low)
	return nil
}

func (w *wires) status() (bool, error) { return w.module.Status(), nil }

func TestPinsRestart(t *testing.T) {
	for name, tc := range map[string]struct {
		off, hang, leaving bool
		emerg, status      bool
		want               string        // what is pulled
		within, least      time.Duration // how long it takes
		err                string
	}{
		"off, STATUS":                    {off: true, status: true, want: "PWRKEY", within: 2 * time.Second},
		"off, EMERG_OFF":                 {off: true, emerg: true, want: "EMERG_OFF PWRKEY", least: 12 * time.Second, within: 15 * time.Second},
		"hangs, STATUS":                  {hang: true, status: true, err: "PWRKEY is a toggle", least: 12 * time.Second, within: 13 * time.Second},
		"hangs, EMERG_OFF":               {hang: true, emerg: true, want: "EMERG_OFF PWRKEY", least: 12 * time.Second, within: 15 * time.Second},
		"hangs, both":                    {hang: true, emerg: true, status: true, want: "EMERG_OFF PWRKEY", least: 12 * time.Second, within: 16 * time.Second},
		"logs off, STATUS":               {leaving: true, status: true, want: "PWRKEY", least: 3 * time.Second, within: 6 * time.Second},
		"logs off, both":                 {leaving: true, emerg: true, status: true, want: "PWRKEY", least: 3 * time.Second, within: 6 * time.Second},
		"logs off, EMERG_OFF":            {leaving: true, emerg: true, want: "EMERG_OFF PWRKEY", least: 12 * time.Second, within: 15 * time.Second},
		"neither EMERG_OFF nor a STATUS": {off: true, err: "nobody knows", least: 12 * time.Second, within: 13 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				module := gsmsim.New(gsmsim.Config{Off: tc.off})
				defer module.Close()
				time.Sleep(10 * time.Second)
				w := &wires{module: module}
				pins := gsmnet.Pins{PowerKey: w.powerKey}
				if tc.emerg {
					pins.EmergOff = w.emergOff
				}
				if tc.status {
					pins.Status = w.status
				}
				module.SetFaults(gsmsim.Faults{Hang: tc.hang})
				if tc.leaving { // as AT+QPOWD=1 does
					module.SetPowerKey(true)
					time.Sleep(700 * time.Millisecond)
					module.SetPowerKey(false)
				}
				boots, begun := module.Stats().Boots, time.Now()
				err := pins.Restart(t.Context())
				if took := time.Since(begun); took < tc.least || took > tc.within {
					t.Errorf("it took %v, want %v to %v", took, tc.least, tc.within)
				}
				if got := strings.Join(w.pulled, " "); got != tc.want {
					t.Errorf("pulled %q, want %q", got, tc.want)
				}
				if w.onRuns > 0 {
					t.Error("PWRKEY was pressed on a module that runs")
				}
				time.Sleep(10 * time.Second)
				switch {
				case tc.err != "":
					if err == nil || !strings.Contains(err.Error(), tc.err) {
						t.Errorf("got %v, want %q", err, tc.err)
					}
				case err != nil:
					t.Error(err)
				case module.Stats().Boots != boots+1 || !module.Status():
					t.Errorf("the module booted %d times, on: %v", module.Stats().Boots-boots, module.Status())
				}
			})
		})
	}
}

// TestPinsLetGo: whoever gives up in the middle leaves no pin low.
func TestPinsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait := time.Duration(0); wait < 16*time.Second; wait += 130 * time.Millisecond {
			low := make(map[string]bool)
			pin := func(name string) func(bool) error {
				return func(l bool) error { low[name] = l; return nil }
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			err := gsmnet.Pins{PowerKey: pin("PWRKEY"), EmergOff: pin("EMERG_OFF")}.Restart(ctx)
			cancel()
			if low["PWRKEY"] || low["EMERG_OFF"] {
				t.Fatalf("given up after %v (%v): %v", wait, err, low)
			}
		}
	})
}

// TestPinsErrors: a STATUS that stays where it must not be, and wires that can't be driven.
func TestPinsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fine := func(bool) error { return nil }
		broken := func(bool) error { return errors.New("no such wire") }
		stays := func(high bool) func() (bool, error) { return func() (bool, error) { return high, nil } }
		for _, tc := range []struct {
			pins gsmnet.Pins
			want string
		}{
			{gsmnet.Pins{PowerKey: fine, EmergOff: fine, Status: stays(true)}, "STATUS stays high"},
			{gsmnet.Pins{PowerKey: fine, Status: stays(false)}, "STATUS stays low"},
			{gsmnet.Pins{PowerKey: broken, Status: stays(false)}, "PWRKEY: no such wire"},
			{gsmnet.Pins{PowerKey: fine, EmergOff: broken}, "EMERG_OFF: no such wire"},
			{gsmnet.Pins{PowerKey: fine, Status: func() (bool, error) { return false, errors.New("cut") }}, "STATUS: cut"},
		} {
			if err := tc.pins.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		}
	})
}

// TestG7_3_EmergencyAndPowerKey brings a module up that is off, and then one that hangs and takes nothing any more.
func TestG7_3_EmergencyAndPowerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{}
		pins := gsmnet.Pins{PowerKey: w.powerKey, EmergOff: w.emergOff, Status: w.status}
		r := newRig(t, gsmsim.Config{Off: true}, gsmnet.Config{Restart: func(ctx context.Context) error { return pins.Restart(ctx) }})
		w.module = r.module
		c, f := r.dialed(t)
		roundTrip(t, c, f, 1000)
		if got := strings.Join(w.pulled, " "); got != "PWRKEY" {
			t.Errorf("switched on by %q, want PWRKEY", got)
		}
		w.pulled = nil
		r.module.SetFaults(gsmsim.Faults{Hang: true})
		if _, err := c.Read(make([]byte, 1)); gsmnet.CauseOf(err) != gsmnet.CausePower {
			t.Errorf("got %v, want cause power", err)
		}
		c.Close()
		c, f = r.dialed(t)
		roundTrip(t, c, f, 1000)
		if got := strings.Join(w.pulled, " "); got != "EMERG_OFF PWRKEY" {
			t.Errorf("restarted by %q, want EMERG_OFF PWRKEY", got)
		}
		if w.onRuns > 0 {
			t.Error("PWRKEY was pressed on a module that runs")
		}
	})
}

// TestRestartOnDemand: a person's restart ends the connection, is spaced like the driver's own, and can be forced.
func TestRestartOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hard := 0
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{StateFile: filepath.Join(t.TempDir(), "modem.json"), Restart: func(context.Context) error {
			hard++
			return nil
		}})
		c, _ := r.dialed(t)
		boots := r.module.Stats().Boots
		if err := r.Restart(t.Context(), false, false); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); gsmnet.CauseOf(err) != gsmnet.CausePower {
			t.Errorf("the connection: got %v, want cause power", err)
		}
		err := r.Restart(t.Context(), false, false)
		if !errors.Is(err, gsmnet.ErrTooSoon) || !strings.Contains(err.Error(), "9m55s") {
			t.Errorf("at once again: got %v, want ErrTooSoon with the time to wait", err)
		}
		if err := r.Restart(t.Context(), true, true); err != nil || hard != 1 {
			t.Errorf("forced from outside: %v, done %d times", err, hard)
		}
		c, f := r.dialed(t)
		roundTrip(t, c, f, 1000)
		if got := r.module.Stats().Boots - boots; got != 1 {
			t.Errorf("AT+CFUN=1,1 restarted it %d times, want once", got)
		}
		// A connection in between has ended the row.
		if err := r.Restart(t.Context(), false, false); err != nil {
			t.Error(err)
		}
	})
}

// TestHardRestartLogsOff: a module that listens is asked to leave the network before its pins are touched.
func TestHardRestartLogsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{}
		pins := gsmnet.Pins{PowerKey: w.powerKey, EmergOff: w.emergOff, Status: w.status}
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{Restart: func(ctx context.Context) error { return pins.Restart(ctx) }})
		w.module = r.module
		r.dialed(t)
		if err := r.Restart(t.Context(), true, false); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(w.pulled, " "); got != "PWRKEY" {
			t.Errorf("pulled %q, want PWRKEY alone: AT+QPOWD=1 has switched it off", got)
		}
	})
}

func TestRestartWithoutAWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Off: true}, gsmnet.Config{})
		if err := r.Restart(t.Context(), true, false); gsmnet.CauseOf(err) != gsmnet.CauseUsage {
			t.Errorf("hard: got %v, want cause usage", err)
		}
		if err := r.Restart(t.Context(), false, false); err == nil || !strings.Contains(err.Error(), "doesn't answer") {
			t.Errorf("got %v", err)
		}
		if err := r.Wake(t.Context()); gsmnet.CauseOf(err) != gsmnet.CausePower {
			t.Errorf("Wake: got %v, want cause power", err)
		}
	})
}

func TestControlLinesOfAPTY(t *testing.T) {
	_, path := openPTY(t)
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if err := gsmnet.SetDTR(p, false); err == nil || !strings.Contains(err.Error(), path+" has no line DTR") {
		t.Errorf("got %v: a pseudo terminal has no DTR", err)
	}
	p.Close()
	if err := gsmnet.SetRTS(p, false); err == nil || strings.Contains(err.Error(), "has no line") {
		t.Errorf("after Close: got %v", err)
	}
}

func TestGPIOErrorsSayWhatToDo(t *testing.T) {
	if _, err := gsmnet.OpenGPIOOutput("gpiochip-none", 4, false); err == nil || !strings.Contains(err.Error(), "no such chip") {
		t.Errorf("got %v", err)
	}
}
