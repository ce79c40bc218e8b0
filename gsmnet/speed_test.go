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
	for _, up := range []int{3000, 6000, 10000} {
		for _, rtt := range []time.Duration{300, 600, 1000} {
			t.Run(fmt.Sprintf("%dBps/%dms", up, rtt), func(t *testing.T) {
				radio := gsmsim.Radio{Up: up, Down: 6000, RTT: rtt * time.Millisecond}
				rate, s := upload(t, radio, 1460, gsmnet.Config{})
				t.Logf("%.0f B/s, %.2f polls a send, %.3f serial bytes a byte, %+v", rate, float64(s.Polls)/float64(s.Sends),
					float64(s.BytesOut+s.BytesIn)/float64(s.PayloadOut), s)
			})
		}
	}
}
