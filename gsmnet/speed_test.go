package gsmnet_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// upload writes pieces for a while and returns payload bytes a second that reached the server, with the driver's counts.
func upload(t *testing.T, radio gsmsim.Radio, piece int, cfg gsmnet.Config) (rate float64, s gsmnet.Stats) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Radio: radio}, cfg)
		c, f := r.dialed(t)
		go io.Copy(io.Discard, f)
		stop := time.Now().Add(300 * time.Second)
		warm, warmed := uint64(0), time.Time{}
		var before gsmnet.Stats
		p := randomBytes(2, piece)
		for time.Now().Before(stop) {
			if _, err := c.Write(p); err != nil {
				t.Fatal(err)
			}
			if warm == 0 && time.Until(stop) < 240*time.Second {
				warm, warmed, before = c.Acked(), time.Now(), r.Stats()
			}
		}
		rate = float64(c.Acked()-warm) / time.Since(warmed).Seconds()
		s = r.Stats()
		s.Sends -= before.Sends
		s.Polls -= before.Polls
		s.PayloadOut -= before.PayloadOut
		s.BytesOut -= before.BytesOut
		s.BytesIn -= before.BytesIn
	})
	return rate, s
}

func TestBulkUsesTheLink(t *testing.T) {
	for _, c := range []struct {
		up, rtt int
		want    float64 // bytes a second
	}{
		// 0.95 of what filling the 7300 bytes with a question each 200 ms reaches in a calculation without delayed
		// acknowledgements; where the round trip and the line bound it, what this driver reached when it was measured, less 3 %.
		{3000, 300, 2705}, {3000, 600, 2705}, {3000, 1000, 2705},
		{6000, 300, 5400}, {6000, 600, 5400}, {6000, 1000, 4300},
		{10000, 300, 8850}, {10000, 600, 6700}, {10000, 1000, 4650},
	} {
		t.Run(fmt.Sprintf("%dBps/%dms", c.up, c.rtt), func(t *testing.T) {
			radio := gsmsim.Radio{Up: c.up, Down: 6000, RTT: time.Duration(c.rtt) * time.Millisecond}
			rate, s := upload(t, radio, 1460, gsmnet.Config{})
			polls := float64(s.Polls) / float64(s.Sends)
			serial := float64(s.BytesOut+s.BytesIn) / float64(s.PayloadOut)
			t.Logf("%.0f B/s, %.2f questions a send, %.3f serial bytes a byte", rate, polls, serial)
			if rate < c.want {
				t.Errorf("%.0f B/s, want %.0f", rate, c.want)
			}
			if polls > 1.02 || serial > 1.12 {
				t.Errorf("%.2f questions a send, want 1; %.3f serial bytes a byte, want 1.12", polls, serial)
			}
		})
	}
}

// TestG4_8_GuidesWindow: to the letter the guide's recipe is slow, since each 4380 bytes cost 5 s.
func TestG4_8_GuidesWindow(t *testing.T) {
	radio := gsmsim.Radio{Up: 3000, Down: 6000, RTT: 600 * time.Millisecond}
	guide, s := upload(t, radio, 1460, gsmnet.Config{Literal: true})
	own, _ := upload(t, radio, 1460, gsmnet.Config{})
	t.Logf("%.0f B/s by the guide, %.0f otherwise, %d questions", guide, own, s.Polls)
	if guide < 600 || guide > 900 {
		t.Errorf("%.0f B/s by the guide, want about 4380 bytes each 5 s", guide)
	}
	if own/guide < 3.4 {
		t.Errorf("only %.2f times as fast, want 3.4", own/guide)
	}
}

func TestSmallWritesAreGathered(t *testing.T) {
	radio := gsmsim.Radio{Up: 3000, Down: 6000, RTT: 600 * time.Millisecond}
	rate, s := upload(t, radio, 137, gsmnet.Config{})
	messages := rate / 137
	sends := float64(s.Sends) / (float64(s.PayloadOut) / 137)
	t.Logf("%.1f messages/s, %.3f sends a message", messages, sends)
	if messages < 19.5 || sends > 0.12 {
		t.Errorf("%.1f messages/s, want 20; %.3f sends a message, want at most 0.12", messages, sends)
	}
}

func TestSmallWriteLeavesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		radio := gsmsim.Radio{Up: 1 << 20, Down: 1 << 20, RTT: time.Microsecond}
		r := newRig(t, gsmsim.Config{Radio: radio}, gsmnet.Config{})
		c, f := r.dialed(t)
		time.Sleep(10 * time.Second)
		begun := time.Now()
		c.Write(make([]byte, 40))
		io.ReadFull(f, make([]byte, 40))
		if got := time.Since(begun); got > 50*time.Millisecond {
			t.Errorf("on the air after %v, want 50 ms", got)
		}
	})
}

// TestDownlink: an upload does not keep received data from being fetched, and a download alone uses its radio.
func TestDownlink(t *testing.T) {
	for _, both := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			radio := gsmsim.Radio{Up: 3000, Down: 6000, RTT: 600 * time.Millisecond}
			r := newRig(t, gsmsim.Config{Radio: radio}, gsmnet.Config{})
			c, f := r.dialed(t)
			go io.Copy(io.Discard, f)
			if both {
				go func() {
					for {
						if _, err := c.Write(make([]byte, 1460)); err != nil {
							return
						}
					}
				}()
			}
			const n = 300_000
			go f.Write(make([]byte, n))
			begun := time.Now()
			if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			rate := n / time.Since(begun).Seconds()
			t.Logf("%.0f B/s, upload beside it: %v", rate, both)
			if want := 5000.0; !both && rate < want {
				t.Errorf("%.0f B/s, want %.0f", rate, want)
			}
			if up := float64(c.Acked()) / time.Since(begun).Seconds(); both && (rate < 2500 || up < 2000) {
				t.Errorf("%.0f B/s down and %.0f up: one starves the other", rate, up)
			}
			c.Close()
		})
	}
}
