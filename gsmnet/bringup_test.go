package gsmnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestG2_StepsAreReportedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		if err := r.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range r.states {
			if n := len(got); n == 0 || got[n-1] != s.Step.String() {
				got = append(got, s.Step.String())
			}
			if s.Detail == "" || s.Since.IsZero() {
				t.Errorf("state without words or time: %+v", s)
			}
		}
		want := []string{"power", "sim", "registration", "attach", "context", "ready"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestBringUpFailuresHaveOneCause(t *testing.T) {
	for name, c := range map[string]struct {
		sim   gsmsim.Config
		cfg   gsmnet.Config
		cause gsmnet.Cause
		says  string
	}{
		"off":                     {gsmsim.Config{Off: true}, gsmnet.Config{}, gsmnet.CausePower, "baud rate"},
		"FM14 no SIM":             {gsmsim.Config{SIM: gsmsim.SIM{Absent: true}}, gsmnet.Config{}, gsmnet.CauseSIM, "no SIM"},
		"FM14 no SIM as CME":      {gsmsim.Config{SIM: gsmsim.SIM{Absent: true}, Model: gsmsim.Model{CPINAsCME: true}}, gsmnet.Config{}, gsmnet.CauseSIM, "no SIM"},
		"SIM never ready":         {gsmsim.Config{SIM: gsmsim.SIM{Unready: true}}, gsmnet.Config{}, gsmnet.CauseSIM, "not ready"},
		"PIN wanted":              {gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234"}}, gsmnet.Config{}, gsmnet.CausePIN, "none is configured"},
		"FM15 wrong PIN":          {gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234"}}, gsmnet.Config{PIN: "4321"}, gsmnet.CausePIN, "refused"},
		"FM15 last try":           {gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234", Tries: 1}}, gsmnet.Config{PIN: "1234"}, gsmnet.CausePIN, "only 1 try"},
		"FM15 tries unknown":      {gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234"}, Model: gsmsim.Model{NoPINTries: true}}, gsmnet.Config{PIN: "1234"}, gsmnet.CausePIN, "how many tries"},
		"FM16 PUK wanted":         {gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234", Tries: -1}}, gsmnet.Config{PIN: "1234"}, gsmnet.CausePIN, "PUK"},
		"FM17 denied":             {gsmsim.Config{Network: gsmsim.Network{Denied: true}}, gsmnet.Config{}, gsmnet.CauseDenied, "refuses"},
		"FM18 roaming":            {gsmsim.Config{Network: gsmsim.Network{Roaming: true}}, gsmnet.Config{HomeOnly: true}, gsmnet.CauseRoaming, "roaming"},
		"FM19 searching":          {gsmsim.Config{Network: gsmsim.Network{Register: time.Hour}}, gsmnet.Config{}, gsmnet.CauseSearching, "antenna"},
		"no GPRS":                 {gsmsim.Config{Network: gsmsim.Network{NoGPRS: true}}, gsmnet.Config{}, gsmnet.CauseAttach, "data"},
		"wrong APN":               {gsmsim.Config{Network: gsmsim.Network{APN: "other.example"}}, gsmnet.Config{}, gsmnet.CauseAPN, "APN"},
		"activation refused":      {gsmsim.Config{Faults: gsmsim.Faults{RefuseActivate: true}}, gsmnet.Config{}, gsmnet.CauseAPN, "APN"},
		"G9.3 activation hangs":   {gsmsim.Config{Faults: gsmsim.Faults{StickActivate: true}}, gsmnet.Config{}, gsmnet.CausePower, ""},
		"G3.6 connect never ends": {gsmsim.Config{Faults: gsmsim.Faults{StickConnect: true}, Timing: gsmsim.Timing{Connect: 5 * time.Minute}}, gsmnet.Config{}, gsmnet.CauseTCP, "within"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, c.sim, c.cfg)
				_, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
				if got := gsmnet.CauseOf(err); got != c.cause {
					t.Fatalf("cause %v, want %v: %v", got, c.cause, err)
				}
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("%q does not mention %q", err, c.says)
				}
				s := r.State()
				if c.cause != gsmnet.CauseTCP && (s.Err == nil || gsmnet.CauseOf(s.Err) != c.cause) {
					t.Errorf("state %+v", s)
				}
			})
		})
	}
}

func TestG3_5_FM10_ConnectFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := true
		r := newRigWith(t, gsmsim.Config{}, gsmnet.Config{}, func() error {
			if refuse {
				return errors.New("connection refused")
			}
			return nil
		})
		_, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
		if gsmnet.CauseOf(err) != gsmnet.CauseTCP {
			t.Errorf("got %v", err)
		}
		refuse = false
		c, far := r.dialed(t)
		roundTrip(t, c, far, 100)
		if got := r.Stats().Activations; got != 1 {
			t.Errorf("the context was brought up %d times; CONNECT FAIL while TCP CONNECTING must leave it", got)
		}
	})
}

func TestFM11_NameThatDoesNotResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{DNSFails: true}}, gsmnet.Config{})
		_, err := r.DialContext(t.Context(), "tcp", "broker.example:1883")
		if gsmnet.CauseOf(err) != gsmnet.CauseDNS {
			t.Errorf("got %v, want cause dns", err)
		}
	})
}

func TestG2_7_NamesAndAddressesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Model: gsmsim.Model{StrictDNSIP: true}}, gsmnet.Config{})
		for _, address := range []string{"broker.example:1883", "192.0.2.1:1883", "broker.example:1883"} {
			c, err := r.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			f := <-r.far.conns
			roundTrip(t, c, f, 100)
			if got := c.RemoteAddr().String(); got != address {
				t.Errorf("remote address %s", got)
			}
			c.Close()
			f.Close()
		}
	})
}

func TestFM14_SIMRemovedAndPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Baud: 115200}, gsmnet.Config{})
		c, _ := r.dialed(t)
		r.module.RemoveSIM()
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CauseSIM {
			t.Errorf("got %v, want cause sim", err)
		}
		r.module.InsertSIM(gsmsim.SIM{})
		c2, f2 := r.dialed(t)
		roundTrip(t, c2, f2, 100)
	})
}

func TestFM15_PINIsTriedOnceAcrossProcesses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "modem.json")
	pinCommands := func(r *rig) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return strings.Count(r.trace.String(), "AT+CPIN=")
	}
	for i, want := range []int{1, 0, 0} {
		synctest.Test(t, func(t *testing.T) {
			sim := gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234"}}
			r := newRig(t, sim, gsmnet.Config{PIN: "9999", StateFile: file})
			for range 3 {
				if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CausePIN {
					t.Errorf("got %v, want cause pin", err)
				}
			}
			if got := pinCommands(r); got != want {
				t.Errorf("process %d sent the PIN %d times, want %d", i, got, want)
			}
		})
	}
	// The corrected PIN works, and works again after each power-on.
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234"}}, gsmnet.Config{PIN: "1234", StateFile: file})
			if err := r.Up(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	b, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(b), "9999") || strings.Contains(string(b), "1234\"") {
		t.Errorf("state file: %v\n%s", err, b)
	}
}

func TestFM15_PINIsNotSentWhenItCantBeNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inTheWay := filepath.Join(t.TempDir(), "no folder")
		if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(inTheWay, "modem.json")
		r := newRig(t, gsmsim.Config{SIM: gsmsim.SIM{PIN: "1234"}}, gsmnet.Config{PIN: "1234", StateFile: file})
		if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CausePIN {
			t.Errorf("got %v, want cause pin", err)
		}
		if strings.Contains(r.trace.String(), "AT+CPIN=") {
			t.Error("the PIN was sent")
		}
	})
}

// TestStateFileOnAFreshBox: the folder of the state file is made when it is needed.
func TestStateFileOnAFreshBox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "data")
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{StateFile: filepath.Join(folder, "modem.json")})
		time.Sleep(30 * time.Second) // a module that has just started refuses the restart
		if err := r.Restart(t.Context(), false, false); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("got %v, %v, want a folder for the agent alone", info, err)
		}
	})
}

func TestContextEndReleasesTheCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Timing: gsmsim.Timing{Activate: time.Minute}}, gsmnet.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		begun := time.Now()
		_, err := r.DialContext(ctx, "tcp", "192.0.2.1:1883")
		var n net.Error
		if !errors.As(err, &n) || !n.Timeout() || time.Since(begun) != 15*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		// The activation under way was not disturbed: it is used by the next dial.
		c, f := r.dialed(t)
		roundTrip(t, c, f, 100)
		if s := r.Stats(); s.Activations != 1 || s.Timeouts != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestLeftOver: a program before us was killed, and left the module as it was.
func TestLeftOver(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, w io.ReadWriteCloser){
		"connected": func(*testing.T, io.ReadWriteCloser) {},
		"G4.3 in the prompt of a send": func(t *testing.T, w io.ReadWriteCloser) {
			w.Write([]byte("AT+QISEND=700\r"))
		},
		"G4.1 in the prompt of a free send": func(t *testing.T, w io.ReadWriteCloser) {
			w.Write([]byte("AT+QISEND\rsome"))
		},
		"in half a command": func(t *testing.T, w io.ReadWriteCloser) { w.Write([]byte("AT+QISE")) },
		"numeric answers":   func(t *testing.T, w io.ReadWriteCloser) { w.Write([]byte("ATV0\r")) },
		"G2.12 in a context for transparent mode": func(t *testing.T, w io.ReadWriteCloser) {
			for _, line := range []string{"AT+QICLOSE", "AT+QIDEACT", "AT+QIMODE=1", "AT+QIREGAPP", "AT+QIACT", "AT+QILOCIP"} {
				w.Write([]byte(line + "\r"))
				time.Sleep(10 * time.Second)
			}
		},
		"G8.1 in data mode": func(t *testing.T, w io.ReadWriteCloser) {
			for _, line := range []string{"AT+QICLOSE", "AT+QIDEACT", "AT+QIMODE=1", "AT+QIREGAPP", "AT+QIACT", "AT+QILOCIP",
				`AT+QIOPEN="TCP","192.0.2.1","1883"`} {
				w.Write([]byte(line + "\r"))
				time.Sleep(10 * time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Baud: 115200}, gsmnet.Config{})
				c, f := r.dialed(t)
				roundTrip(t, c, f, 100)
				w := r.module.Wire() // the first program's line is cut off
				<-r.Done()
				go io.Copy(io.Discard, w)
				leave(t, w)
				time.Sleep(2 * time.Second)
				drain(r.far)
				m, err := gsmnet.Open(r.module.Wire(), gsmnet.Config{APN: "internet.example", Baud: 115200})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				c2, err := m.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
				if err != nil {
					t.Fatal(err)
				}
				roundTrip(t, c2, <-r.far.conns, 3000)
			})
		})
	}
}
