package gsmnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// deceptive is payload that spells what the module says on its own, and what it must not take for its own.
const deceptive = "\r\nOK\r\n\r\nCLOSED\r\n\r\n+PDP DEACT\r\n\r\nRDY\r\n> \r\nERROR\r\nSEND OK\r\nIPD5TCP:+++\x1a\x1b\b\r\nNO CARRIER\r\nCONNECT\r\n"

// TestG8_3_DeceptivePayload (FL7, G2.9 to G2.13, G4.2, G5.2): in every mode and form whatever the peer says is data.
func TestG8_3_FL7_DeceptivePayload(t *testing.T) {
	for name, cfg := range map[string]gsmnet.Config{
		"buffered":    {},
		"pushed":      {Receive: gsmnet.Pushed},
		"transparent": {Mode: gsmnet.Transparent},
		"free send":   {FreeSend: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{}, cfg)
				c, f := r.dialed(t)
				for _, text := range []string{deceptive, "\r\nCLOSED\r\n", "+++", "\r\n+PDP DEACT\r\n", "+", "++", "\r\nCLO", "\r\n"} {
					time.Sleep(3 * time.Second) // silence on both sides, as the escape has it
					echo(t, c, f, text)
				}
				if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
					t.Error(err)
				}
				if got := c.Acked(); got != c.Written() {
					t.Errorf("acked %d, want %d", got, c.Written())
				}
				if s := r.Stats(); s.Nonsense > 0 || s.Damaged > 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// echo sends text to the server and has it sent back.
func echo(t *testing.T, c, f net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(text))
	for range 2 {
		if _, err := io.ReadFull(f, b); err != nil || string(b) != text {
			t.Fatalf("got %q, %v, want %q", b, err, text)
		}
		f.Write(b)
		f, c = c, f
		if f, ok := f.(*gsmnet.Conn); ok {
			f.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := io.ReadFull(f, b); err != nil || string(b) != text {
				t.Fatalf("%q: got %q, %v", text, b[:n], err)
			}
			return
		}
	}
}

// TestG8_4_RealEnd: the same texts end the connection when the module says them, G8.5 without a question.
func TestG8_4_RealEnd(t *testing.T) {
	for name, trust := range map[string]bool{"asked": false, "trusted (G8.5)": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{}, gsmnet.Config{Mode: gsmnet.Transparent, TrustClosed: trust})
				c, f := r.dialed(t)
				echo(t, c, f, "hello")
				f.Write([]byte("farewell"))
				f.Close()
				begun := time.Now()
				got, err := io.ReadAll(c)
				if string(got) != "farewell" || err != nil {
					t.Errorf("got %q, %v, want all and the end", got, err)
				}
				if took := time.Since(begun); trust != (took < 2*time.Second) {
					t.Errorf("it took %v", took)
				}
				// G8.4: the context is built anew.
				before := r.Stats().Activations
				c, f = r.dialed(t)
				echo(t, c, f, "again")
				if got := r.Stats().Activations - before; got != 1 {
					t.Errorf("%d activations, want 1", got)
				}

				r.module.DropContext()
				_, err = c.Read(make([]byte, 1))
				if gsmnet.CauseOf(err) != gsmnet.CauseContext || errors.Is(err, io.EOF) {
					t.Errorf("got %v, want cause context", err)
				}
				c, f = r.dialed(t)
				echo(t, c, f, "once more")
				r.module.Reboot()
				if _, err = c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("after a restart: %v", err)
				}
			})
		})
	}
}

// TestG8_2_QuestionsInTransparentMode: acknowledged counts, commands beside the traffic and a clean close by leaving data mode; what
// the peer sends meanwhile arrives.
func TestG8_2_QuestionsInTransparentMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{Mode: gsmnet.Transparent})
		c, f := r.dialed(t)
		want := randomBytes(4, 30_000)
		go f.Write(want)
		go func() {
			for range 5 {
				time.Sleep(2 * time.Second)
				if lines, err := r.Command(t.Context(), "AT+CSQ"); err != nil || len(lines) != 1 {
					t.Errorf("%q, %v", lines, err)
				}
			}
		}()
		up := make(chan []byte)
		go func() {
			b := make([]byte, len(want))
			io.ReadFull(f, b)
			up <- b
		}()
		begun := time.Now()
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) || !bytes.Equal(<-up, want) {
			t.Error("data differs")
		}
		if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
			t.Fatal(err)
		}
		rate := float64(len(want)) / time.Since(begun).Seconds()
		t.Logf("%.0f B/s up, %d questions", rate, r.Stats().Polls)
		if rate < 1000 {
			t.Errorf("%.0f B/s up, want 1000", rate)
		}
		i, err := r.Info(t.Context())
		if err != nil || i.IMEI == "" || i.Cell != "0461" || i.LAC != "2842" {
			t.Errorf("%+v, %v", i, err)
		}
		echo(t, c, f, "still there")
		c.Write([]byte("last words"))
		c.Close()
		if b, err := io.ReadAll(f); string(b) != "last words" || err != nil {
			t.Errorf("the server got %q, %v", b, err)
		}
	})
}

// TestG8_1_NothingIsSaidInDataMode: the module starts slowly and the network comes and goes while data flows, and none of it stands
// among the data.
func TestG8_1_NothingIsSaidInDataMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Baud: 115200}, gsmnet.Config{Mode: gsmnet.Transparent})
		c, f := r.dialed(t)
		go io.Copy(f, f)
		want := []byte("0123456789")
		for i := range 60 {
			if i%20 == 10 {
				r.module.SetCoverage(false)
			}
			time.Sleep(2 * time.Second)
			r.module.SetCoverage(true)
			if _, err := c.Write(want); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(want))
			c.SetReadDeadline(time.Now().Add(time.Minute))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d: got %q, %v", i, got, err)
			}
		}
	})
}

// TestG5_3_PushedUnread: a peer that is not read can't be held back, and ends the connection instead of filling the memory.
func TestG5_3_PushedUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Radio: gsmsim.Radio{Down: 10_000}}, gsmnet.Config{Receive: gsmnet.Pushed})
		c, f := r.dialed(t)
		go f.Write(make([]byte, 2<<20))
		time.Sleep(5 * time.Minute)
		n, err := io.Copy(io.Discard, c)
		if n > 1<<20 || n < 1<<19 || gsmnet.CauseOf(err) != gsmnet.CauseUsage {
			t.Errorf("%d bytes, %v, want 1 MiB at most and cause usage", n, err)
		}
	})
}

// TestFL4_PushedByteLost: a pushed block that lost a byte is not delivered.
func TestFL4_PushedByteLost(t *testing.T) {
	for name, faults := range map[string]gsmsim.Faults{"lost": {LoseByte: 0.0004}, "doubled (FL5)": {DoubleByte: 0.0004}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Seed: 5}, gsmnet.Config{Receive: gsmnet.Pushed})
				c, f := r.dialed(t)
				r.module.SetFaults(faults)
				want := bytes.Repeat([]byte("0123456789"), 20_000)
				go f.Write(want)
				got, err := io.ReadAll(c)
				if err == nil || !bytes.HasPrefix(want, got) {
					t.Errorf("%d bytes, a beginning of what was sent: %v; error %v", len(got), bytes.HasPrefix(want, got), err)
				}
				r.module.SetFaults(gsmsim.Faults{})
			})
		})
	}
}

// TestG2_3_RegistrationOfAStandingConnection: cover comes and goes, and the connection doesn't notice.
func TestG2_3_RegistrationOfAStandingConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Network: gsmsim.Network{Roaming: true}}, gsmnet.Config{})
		c, f := r.dialed(t)
		r.module.SetCoverage(false)
		time.Sleep(20 * time.Second)
		if s := r.State(); s.Step != gsmnet.StepRegistration || !strings.Contains(s.Detail, "no network") || s.Err != nil {
			t.Errorf("without cover: %+v", s)
		}
		c.Write([]byte("hello"))
		r.module.SetCoverage(true)
		b := make([]byte, 5)
		if _, err := io.ReadFull(f, b); err != nil || string(b) != "hello" {
			t.Errorf("got %q, %v", b, err)
		}
		if err := c.WaitAcked(t.Context(), 5); err != nil {
			t.Error(err)
		}
		if s := r.State(); s.Step != gsmnet.StepReady {
			t.Errorf("with cover again: %+v", s)
		}
	})
}

// TestModesOnEveryProfile moves data in every mode through each module that the simulation knows, the one with all bad habits at once
// included.
func TestModesOnEveryProfile(t *testing.T) {
	for _, profile := range gsmsim.Profiles() {
		for name, cfg := range map[string]gsmnet.Config{
			"buffered":    {},
			"pushed":      {Receive: gsmnet.Pushed},
			"transparent": {Mode: gsmnet.Transparent},
			"free send":   {FreeSend: true},
		} {
			t.Run(profile+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					sim, err := gsmsim.Profile(profile)
					if err != nil {
						t.Fatal(err)
					}
					r := newRig(t, sim, cfg)
					for range 2 {
						c, f := r.dialed(t)
						roundTrip(t, c, f, 8000)
						if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
							t.Error(err)
						}
						f.Write([]byte("farewell"))
						f.Close()
						c.SetReadDeadline(time.Now().Add(5 * time.Minute))
						if got, err := io.ReadAll(c); string(got) != "farewell" || err != nil {
							t.Errorf("got %q, %v", got, err)
						}
						c.Close()
					}
				})
			})
		}
	}
}
