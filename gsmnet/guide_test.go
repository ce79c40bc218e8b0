package gsmnet_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestG4_7_SendsOnBelow3000: nothing is acknowledged; while less than 3000 bytes are unacknowledged a next send follows, and then none.
func TestG4_7_SendsOnBelow3000(t *testing.T) {
	for name, cfg := range map[string]gsmnet.Config{"unknown link": {}, "to the letter": {Literal: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, gsmsim.Config{Faults: gsmsim.Faults{FreezeAcks: true}}, cfg)
				c, f := r.dialed(t)
				go io.Copy(io.Discard, f)
				go c.Write(make([]byte, 20_000))
				time.Sleep(time.Minute)
				if got := r.Stats().PayloadOut; got != 3*1460 {
					t.Errorf("%d bytes sent, want 1460 three times: the first that is over 3000", got)
				}
			})
		})
	}
}

// TestG6_2_G6_3_G6_7_Heartbeat: a gateway that forgets what is idle for ten minutes keeps a connection with a short packet every
// eight, which the server can tell from data: PINGREQ, which it answers with PINGRESP.
func TestG6_2_G6_3_G6_7_Heartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{NATIdle: 10 * time.Minute}, gsmnet.Config{})
		c, f := r.dialed(t)
		go func() {
			p := make([]byte, 2)
			for {
				if _, err := io.ReadFull(f, p); err != nil {
					return
				}
				if p[0] == 0xC0 {
					f.Write([]byte{0xD0, 0})
				}
			}
		}()
		for range 20 {
			time.Sleep(8 * time.Minute)
			if _, err := c.Write([]byte{0xC0, 0}); err != nil {
				t.Fatal(err)
			}
			if err := c.WaitAcked(t.Context(), c.Written()); err != nil { // G6.5
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(time.Minute))
			p := make([]byte, 2)
			if _, err := io.ReadFull(c, p); err != nil || p[0] != 0xD0 {
				t.Fatalf("got %x, %v", p, err)
			}
		}
	})
}

// TestFL2_BackUnderAnotherNumber: the adapter is pulled out and comes back as another device; its stable name leads to it, and the
// module tells that it is the same.
func TestFL2_BackUnderAnotherNumber(t *testing.T) {
	name := filepath.Join(t.TempDir(), "modem")
	var imeis, devices []string
	for range 2 {
		cfg := fast()
		cfg.Baud = 115200
		f := newFar()
		cfg.Dial = f.dial
		module := gsmsim.New(cfg)
		path, err := module.PTY("")
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(name)
		if err := os.Symlink(path, name); err != nil {
			t.Fatal(err)
		}
		port, err := gsmnet.OpenPort(name, 115200)
		if err != nil {
			t.Fatal(err)
		}
		m, err := gsmnet.Open(port, gsmnet.Config{Baud: 115200})
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c, <-f.conns, 100)
		i, err := m.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		imeis, devices = append(imeis, i.IMEI), append(devices, path)
		module.Close() // unplugged
		select {
		case <-m.Done():
		case <-time.After(30 * time.Second):
			t.Fatal("the end of the port was not noticed")
		}
		m.Close()
		openPTY(t) // takes the number that has become free
	}
	if imeis[0] != imeis[1] || imeis[0] == "" || devices[0] == devices[1] {
		t.Errorf("IMEIs %q, devices %q", imeis, devices)
	}
}
