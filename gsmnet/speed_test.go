package gsmnet_test

import (
	"fmt"
	"io"
	"os"
	"strings"
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

// figure prints a measurement in the form of a Go benchmark, for scripts/bench, when that asks for it.
func figure(name string, values ...any) {
	if os.Getenv("FIELDPOST_FIGURES") == "" {
		return
	}
	text := "Benchmark" + name + " 1"
	for i := 0; i < len(values); i += 2 {
		text += fmt.Sprintf(" %.4g %s", values[i], values[i+1])
	}
	fmt.Println(text)
}

func TestBulkUsesTheLink(t *testing.T) {
	for _, c := range []struct{ up, rtt int }{
		{3000, 300}, {3000, 600}, {3000, 1000}, {6000, 300}, {6000, 600}, {6000, 1000}, {10000, 300}, {10000, 600}, {10000, 1000},
	} {
		t.Run(fmt.Sprintf("%dBps/%dms", c.up, c.rtt), func(t *testing.T) {
			radio := gsmsim.Radio{Up: c.up, Down: 6000, RTT: time.Duration(c.rtt) * time.Millisecond}
			rate, s := upload(t, radio, 1460, gsmnet.Config{})
			polls := float64(s.Polls) / float64(s.Sends)
			serial := float64(s.BytesOut+s.BytesIn) / float64(s.PayloadOut)
			ratio := rate / modelOf(c.up, radio.RTT).window()
			t.Logf("%.0f B/s, %.3f of the model's window strategy, %.2f questions a send, %.3f serial bytes a byte", rate, ratio, polls, serial)
			figure(fmt.Sprintf("Bulk/up=%d/rtt=%dms", c.up, c.rtt), ratio, "goodput_ratio", rate, "goodput:B/s",
				polls, "polls:1/send", serial, "serial:B/B")
			if ratio < 0.96 {
				t.Errorf("%.3f of the model's window strategy, want 0.96", ratio)
			}
			if polls > 1.01 || serial > 1.12 {
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
	waiting := waitForEach(t, radio)
	t.Logf("%.0f B/s by the guide, %.0f waiting for each acknowledgement, %.0f otherwise, %d questions", guide, waiting, own, s.Polls)
	figure("Strategies/up=3000/rtt=600ms", own/guide, "vs_guide", own/waiting, "vs_wait_for_ack",
		guide, "guide:B/s", waiting, "wait_for_ack:B/s", own, "own:B/s")
	if own/waiting < 2.3 {
		t.Errorf("only %.2f times as fast as waiting for each acknowledgement, want 2.3", own/waiting)
	}
	if guide < 600 || guide > 900 {
		t.Errorf("%.0f B/s by the guide, want about 4380 bytes each 5 s", guide)
	}
	if own/guide < 3.4 {
		t.Errorf("only %.2f times as fast, want 3.4", own/guide)
	}
}

// waitForEach sends 1460 bytes at a time, each when the one before is acknowledged, and asks for that without a pause, as drivers do
// that know no window.
func waitForEach(t *testing.T, radio gsmsim.Radio) (rate float64) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{Radio: radio}, gsmnet.Config{})
		c, f := r.dialed(t)
		go io.Copy(io.Discard, f)
		begun := time.Now()
		for time.Since(begun) < 120*time.Second {
			if _, err := c.Write(make([]byte, 1460)); err != nil {
				t.Fatal(err)
			}
			for sent := c.Written(); ; {
				lines, err := r.Command(t.Context(), "AT+QISACK")
				if err != nil || len(lines) != 1 {
					t.Fatalf("%q, %v", lines, err)
				}
				if strings.HasPrefix(lines[0], fmt.Sprintf("+QISACK: %d, %d,", sent, sent)) {
					break
				}
			}
		}
		rate = float64(c.Written()) / time.Since(begun).Seconds()
	})
	return rate
}

// TestOnePublishEach sends each message by itself: the next is written when the module has taken the one before.
func TestOnePublishEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		radio := gsmsim.Radio{Up: 3000, Down: 6000, RTT: 600 * time.Millisecond}
		r := newRig(t, gsmsim.Config{Radio: radio}, gsmnet.Config{})
		c, f := r.dialed(t)
		go io.Copy(io.Discard, f)
		begun := time.Now()
		n := 0
		for ; time.Since(begun) < 120*time.Second; n++ {
			if _, err := c.Write(make([]byte, 137)); err != nil {
				t.Fatal(err)
			}
			for r.Stats().Sends == uint64(n) {
				time.Sleep(time.Millisecond)
			}
		}
		rate := float64(n) / time.Since(begun).Seconds()
		t.Logf("%.1f messages/s", rate)
		if rate < 15 {
			t.Errorf("%.1f messages/s, want 15", rate)
		}
		figure("Messages/each=1", rate, "rate:msg/s", float64(r.Stats().Sends)/float64(n), "sends:1/msg")
	})
}

func TestSmallWritesAreGathered(t *testing.T) {
	radio := gsmsim.Radio{Up: 3000, Down: 6000, RTT: 600 * time.Millisecond}
	rate, s := upload(t, radio, 137, gsmnet.Config{})
	messages := rate / 137
	sends := float64(s.Sends) / (float64(s.PayloadOut) / 137)
	t.Logf("%.1f messages/s, %.3f sends a message", messages, sends)
	figure("Messages/gathered", messages, "rate:msg/s", sends, "sends:1/msg")
	if messages < 20.3 || sends > 0.12 {
		t.Errorf("%.1f messages/s, want 20.3; %.3f sends a message, want at most 0.12", messages, sends)
	}
	if s.PayloadOut%137 != 0 {
		t.Error("a message that fits one send was torn apart")
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
		got := time.Since(begun)
		figure("SmallWrite", float64(got.Microseconds())/1000, "latency:ms")
		if got > 50*time.Millisecond {
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
			const segment = 1448
			modelled := 6000 * segment / (segment + 40 + 30.) // TCP/IP headers, and 10 bytes for each of three LLC frames
			figure(fmt.Sprintf("Downlink/upload=%v", both), rate/modelled, "downlink_ratio", rate, "goodput:B/s")
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
