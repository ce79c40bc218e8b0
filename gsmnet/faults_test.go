package gsmnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// roundTrip sends n bytes to the server, which sends them back, and checks them.
func roundTrip(t *testing.T, c net.Conn, f net.Conn, n int) {
	t.Helper()
	want := randomBytes(uint64(n), n)
	go func() {
		b := make([]byte, n)
		io.ReadFull(f, b)
		f.Write(b)
	}()
	if _, err := c.Write(want); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Minute))
	got := make([]byte, n)
	if k, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("after %d bytes: %v", k, err)
	}
	if !bytes.Equal(got, want) {
		t.Error("what came back differs from what was sent")
	}
}

// TestFM23_Variants moves data through modules that differ in all the ways that firmware is known to differ.
func TestFM23_Variants(t *testing.T) {
	for name, cfg := range map[string]gsmsim.Config{
		"tight spacing":        {Model: gsmsim.Model{Spacing: "tight"}},
		"loose spacing":        {Model: gsmsim.Model{Spacing: "loose"}},
		"no blank lines":       {Model: gsmsim.Model{LeadingBlank: -1}},
		"more blank lines":     {Model: gsmsim.Model{LeadingBlank: 2}},
		"OK before the end":    {Model: gsmsim.Model{OKBeforeFinal: true}},
		"refuses what is set":  {Model: gsmsim.Model{RefuseRepeated: true}},
		"strict about names":   {Model: gsmsim.Model{StrictDNSIP: true}},
		"reads by packet":      {Model: gsmsim.Model{ReadByPacket: true}},
		"reads 1024":           {Model: gsmsim.Model{ReadMax: 1024}},
		"repeats +QIRDI":       {Model: gsmsim.Model{RepeatQIRDI: true}},
		"counts in +QIRDI":     {Model: gsmsim.Model{CountedQIRDI: true, RepeatQIRDI: true}},
		"URCs inside replies":  {Faults: gsmsim.Faults{URCInReply: true}},
		"slow to settle":       {Timing: gsmsim.Timing{Settle: time.Second}},
		"slow prompt":          {Timing: gsmsim.Timing{Prompt: 5 * time.Second}},
		"fixed rate":           {Baud: 115200},
		"saved 9600":           {Baud: 9600},
		"many syncs":           {Model: gsmsim.Model{AutobaudMisses: 6}},
		"lossy radio":          {Radio: gsmsim.Radio{Loss: 0.05, Jitter: 400 * time.Millisecond}},
		"slow radio (FM24)":    {Radio: gsmsim.Radio{Up: 300, Down: 300, RTT: 2 * time.Second, Loss: 0.1}},
		"CME errors in words":  {Model: gsmsim.Model{CMEE: 2}},
		"passing read errors":  {Faults: gsmsim.Faults{FailReads: 2}},
		"+QIRDI lost":          {Faults: gsmsim.Faults{DropURCs: 1000, DropURC: "+QIRDI"}},
		"SEND FAIL (FM3)":      {Faults: gsmsim.Faults{FailSends: 3}},
		"prompt missing (FM2)": {Faults: gsmsim.Faults{NoPrompt: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				driver := gsmnet.Config{}
				if cfg.Baud == 9600 {
					driver.Baud = 9600
				}
				r := newRig(t, cfg, driver)
				c, f := r.dialed(t)
				n := 12_000
				if cfg.Radio.Up == 300 {
					n = 1500
				}
				roundTrip(t, c, f, n)
				if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
					t.Error(err)
				}
				s := r.Stats()
				if s.Nonsense > 0 || s.Broken > 0 {
					t.Errorf("%+v", s)
				}
				c.Close()
				// And once more, on the same context.
				c, f = r.dialed(t)
				roundTrip(t, c, f, 2000)
				if got := r.Stats().Activations; got != 1 {
					t.Errorf("the context was brought up %d times", got)
				}
			})
		})
	}
}

func TestG4_9_FM5_BrokenAfterHundredSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{FreezeAcks: true}}, gsmnet.Config{})
		c, _ := r.dialed(t)
		begun := time.Now()
		go c.Write(make([]byte, 20_000))
		_, err := c.Read(make([]byte, 1))
		if gsmnet.CauseOf(err) != gsmnet.CauseLink || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want cause link", err)
		}
		if got := time.Since(begun); got < 100*time.Second || got > 106*time.Second {
			t.Errorf("given up after %v, want 100 s", got)
		}
		if c.Acked() != 0 {
			t.Errorf("%d bytes count as acknowledged", c.Acked())
		}
		if err := c.WaitAcked(t.Context(), 1); gsmnet.CauseOf(err) != gsmnet.CauseLink {
			t.Errorf("WaitAcked: %v", err)
		}
		// The next connection starts from nothing (G6.6).
		r.module.SetFaults(gsmsim.Faults{})
		c2, f2 := r.dialed(t)
		roundTrip(t, c2, f2, 3000)
	})
}

func TestG6_4_G6_5_FM13_BrokenAfterTwoMinutesWithLittleOutstanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{FreezeAcks: true}}, gsmnet.Config{})
		c, _ := r.dialed(t)
		begun := time.Now()
		c.Write([]byte("heartbeat"))
		_, err := c.Read(make([]byte, 1))
		if gsmnet.CauseOf(err) != gsmnet.CauseLink {
			t.Errorf("got %v, want cause link", err)
		}
		if got := time.Since(begun); got < 120*time.Second || got > 126*time.Second {
			t.Errorf("given up after %v, want 120 s", got)
		}
		if polls := r.Stats().Polls; polls < 20 || polls > 40 {
			t.Errorf("asked %d times, want about the 24 of G6.4", polls)
		}
	})
}

func TestFM7_RemoteCloseIsEOFAfterTheData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, f := r.dialed(t)
		want := randomBytes(5, 5000)
		f.Write(want)
		f.Close()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes, %v; want %d and EOF", len(got), err, len(want))
		}
		if _, err := c.Write([]byte("x")); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after the peer's close: %v", err)
		}
		c2, f2 := r.dialed(t)
		roundTrip(t, c2, f2, 100)
	})
}

func TestFM8_LostCLOSEDIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{DropURCs: 1, DropURC: "CLOSED"}}, gsmnet.Config{})
		c, f := r.dialed(t)
		f.Close()
		begun := time.Now()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
		if got := time.Since(begun); got > 65*time.Second {
			t.Errorf("found after %v, want two safety polls at most", got)
		}
	})
}

func TestFM9_ContextLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, _ := r.dialed(t)
		r.module.DropContext()
		_, err := c.Read(make([]byte, 1))
		if gsmnet.CauseOf(err) != gsmnet.CauseContext || errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want cause context", err)
		}
		if s := r.State(); s.Step != gsmnet.StepContext || s.Err == nil {
			t.Errorf("state %+v", s)
		}
		c2, f2 := r.dialed(t)
		roundTrip(t, c2, f2, 3000)
		if got := r.Stats().Activations; got != 2 {
			t.Errorf("%d activations, want 2", got)
		}
	})
}

func TestG6_1_G6_6_FM12_NATForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{NATIdle: 5 * time.Minute}, gsmnet.Config{})
		c, f := r.dialed(t)
		roundTrip(t, c, f, 100)
		time.Sleep(6 * time.Minute)
		c.SetReadDeadline(time.Time{})
		c.Write([]byte("heartbeat"))
		_, err := c.Read(make([]byte, 1))
		if err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want the end of the connection", err)
		}
		c2, f2 := r.dialed(t)
		roundTrip(t, c2, f2, 100)
	})
}

func TestFL1_PortGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, _ := r.dialed(t)
		r.module.Wire() // another one is plugged in
		_, err := c.Read(make([]byte, 1))
		if gsmnet.CauseOf(err) != gsmnet.CausePort || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			t.Errorf("got %v, want cause port", err)
		}
		<-r.Done()
		if gsmnet.CauseOf(r.Err()) != gsmnet.CausePort {
			t.Errorf("Err: %v", r.Err())
		}
		if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CausePort {
			t.Errorf("Up: %v", err)
		}
	})
}

func TestFM21_ModuleHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, _ := r.dialed(t)
		r.module.SetFaults(gsmsim.Faults{Hang: true})
		_, err := c.Read(make([]byte, 1))
		if gsmnet.CauseOf(err) != gsmnet.CausePower {
			t.Errorf("got %v, want cause power", err)
		}
		if err := r.Up(t.Context()); gsmnet.CauseOf(err) != gsmnet.CausePower {
			t.Errorf("Up: %v", err)
		}
	})
}

// TestIdleDay: an idle connection costs one look each 30 s, and lives.
func TestIdleDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, f := r.dialed(t)
		before := r.Stats()
		time.Sleep(24 * time.Hour)
		s := r.Stats()
		if looks := s.Reads - before.Reads; looks < 2800 || looks > 2900 || s.Polls != before.Polls || s.Commands-before.Commands > 2*2900 {
			t.Errorf("%d looks, %d questions, %d commands in a day", looks, s.Polls-before.Polls, s.Commands-before.Commands)
		}
		roundTrip(t, c, f, 1000)
	})
}

// TestFM25_Flood: calls and messages that come in all the time don't disturb the traffic.
func TestFM25_Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{URCInReply: true}}, gsmnet.Config{})
		c, f := r.dialed(t)
		stop := make(chan struct{})
		flooded := make(chan struct{})
		go func() {
			defer close(flooded)
			for {
				for _, urc := range []string{"RING", `+CLIP: "",128`, `+CMTI: "SM",7`, "+CRING: VOICE"} {
					r.module.URC(urc)
				}
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
		roundTrip(t, c, f, 10_000)
		close(stop)
		<-flooded
		if s := r.Stats(); s.Strays > 0 || s.Broken > 0 || s.Timeouts > 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSecondDialIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, f := r.dialed(t)
		if _, err := r.DialContext(t.Context(), "tcp", "192.0.2.2:1"); gsmnet.CauseOf(err) != gsmnet.CauseUsage {
			t.Errorf("got %v, want cause usage", err)
		}
		roundTrip(t, c, f, 100)
	})
}

func TestErrorsOfAConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, _ := r.dialed(t)
		c.SetReadDeadline(time.Now().Add(time.Second))
		_, err := c.Read(make([]byte, 1))
		var n net.Error
		if !errors.As(err, &n) || !n.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("deadline: %v", err)
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		k, err := c.Write(make([]byte, 100_000))
		if !errors.As(err, &n) || !n.Timeout() || uint64(k) != c.Written() {
			t.Errorf("deadline after %d (counted %d): %v", k, c.Written(), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := c.WaitAcked(ctx, 1<<30); !errors.As(err, &n) || !n.Timeout() {
			t.Errorf("WaitAcked: %v", err)
		}
		c.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := c.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestLostAnnouncementCostsSeconds: an answer whose +QIRDI is lost is found soon after the question was acknowledged.
func TestLostAnnouncementCostsSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, f := r.dialed(t)
		r.module.SetFaults(gsmsim.Faults{DropURCs: 1, DropURC: "+QIRDI"})
		begun := time.Now()
		c.Write([]byte("CONNECT"))
		io.ReadFull(f, make([]byte, 7))
		f.Write([]byte("CONNACK"))
		io.ReadFull(c, make([]byte, 7))
		if got := time.Since(begun); got > 6*time.Second {
			t.Errorf("the answer came after %v, want a round trip and 3 s", got)
		}
	})
}
