package gsmsim_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestUplinkRate sends as fast as the window allows and compares with the radio's rate.
func TestUplinkRate(t *testing.T) {
	for _, rtt := range []time.Duration{300 * time.Millisecond, 600 * time.Millisecond, time.Second} {
		bubble(t, func(t *testing.T) {
			const (
				rate   = 3000
				blocks = 60
				size   = 1440 // a segment each
			)
			h, p := connectedTo(t, gsmsim.Config{Radio: gsmsim.Radio{Up: rate, Down: 2 * rate, RTT: rtt}})
			block := strings.Repeat("x", size)
			start := time.Now()
			for sent := 0; sent < blocks; {
				h.write("AT+QISACK\r")
				var total, acked, unacked int
				reply := h.until("OK\r\n", time.Second)
				if _, err := fmt.Sscanf(reply, "\r\n+QISACK: %d, %d, %d", &total, &acked, &unacked); err != nil {
					t.Fatalf("%q: %v", reply, err)
				}
				if unacked+size > 7300 {
					time.Sleep(50 * time.Millisecond)
					continue
				}
				h.send(block)
				sent++
			}
			for len(p.all()) < blocks*size {
				time.Sleep(10 * time.Millisecond)
			}
			took := time.Since(start)
			onAir := size + 40 + 10*3 // headers, and ten bytes for each 496
			want := time.Duration(blocks*onAir)*time.Second/rate + rtt/2
			if took < want || took > want*105/100+2*rtt {
				t.Errorf("RTT %v: took %v, want %v and a few percent", rtt, took, want)
			}
			if s := h.m.Stats(); s.Resent != 0 {
				t.Errorf("%d segments were sent again on a link without loss", s.Resent)
			}
		})
	}
}

func TestDownlinkRate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const rate, total = 6000, 100 << 10
		h, p := connectedTo(t, gsmsim.Config{Radio: gsmsim.Radio{Down: rate}}, "AT+QIHEAD=0")
		start := time.Now()
		go io.WriteString(p.conn, strings.Repeat("x", total))
		for got := 0; got < total; {
			time.Sleep(10 * time.Millisecond)
			got += len(h.take())
		}
		took := time.Since(start)
		packets := (total + 1447) / 1448
		want := time.Duration(total+packets*(40+30)) * time.Second / rate
		if took < want || took > want*110/100+time.Second {
			t.Errorf("took %v, want %v and a few percent", took, want)
		}
	})
}

// TestLoneMessage counts the packets of one small message: the segment and its acknowledgement.
func TestLoneMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		time.Sleep(time.Minute)
		before := h.m.Stats()
		start := time.Now()
		h.send(strings.Repeat("x", 137))
		for p.all() == "" {
			time.Sleep(time.Millisecond)
		}
		if got, least := time.Since(start), 300*time.Millisecond; got < least || got > least+150*time.Millisecond {
			t.Errorf("on its way for %v, want half a round trip and a little", got)
		}
		time.Sleep(time.Minute)
		after := h.m.Stats()
		if up, down := after.AirUp-before.AirUp, after.AirDown-before.AirDown; up != 177 || down != 40 {
			t.Errorf("%d bytes up and %d down, want 177 and 40", up, down)
		}
	})
}

// TestDelayedAcknowledgement shows that a quick series gets one acknowledgement for every second segment.
func TestDelayedAcknowledgement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{})
		time.Sleep(time.Second) // the handshake's last packet
		before := h.m.Stats()
		for range 20 {
			h.send(strings.Repeat("x", 100))
		}
		time.Sleep(time.Minute)
		after := h.m.Stats()
		if up, down := after.PacketsUp-before.PacketsUp, after.PacketsDown-before.PacketsDown; up != 20 || down != 10 {
			t.Errorf("%d packets up and %d down, want 20 and 10", up, down)
		}
	})
}

// TestSmallAnswersShareAPacket has a server write a series of small answers: while the first is on its way, the others wait
// and then go together.
func TestSmallAnswersShareAPacket(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		time.Sleep(time.Second)
		before := h.m.Stats()
		for range 50 {
			io.WriteString(p.conn, "PUBA")
		}
		time.Sleep(time.Minute)
		after := h.m.Stats()
		if packets, bytes := after.PacketsDown-before.PacketsDown, after.DataDown-before.DataDown; packets != 2 || bytes != 200 {
			t.Errorf("%d bytes came in %d packets, want 200 in 2", bytes, packets)
		}
	})
}

func TestConnectionSetupCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{})
		time.Sleep(time.Second)
		s := h.m.Stats()
		if s.PacketsUp != 2 || s.PacketsDown != 1 || s.AirUp != 80 || s.AirDown != 40 || s.Connects != 1 {
			t.Errorf("SYN, SYN-ACK and ACK count as %+v", s)
		}
	})
}

func TestLossIsRepaired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{Seed: 3, Radio: gsmsim.Radio{Loss: 0.1, Jitter: time.Second}})
		var want strings.Builder
		for i := range 40 {
			s := strings.Repeat(fmt.Sprintf("%02d", i), 200)
			want.WriteString(s)
			h.send(s)
			time.Sleep(20 * time.Second)
		}
		time.Sleep(5 * time.Minute)
		p.wants(want.String())
		if h.m.Stats().Resent == 0 {
			t.Error("nothing was sent again: was nothing lost?")
		}
	})
}

// TestServerThatDoesNotRead shows the window of the server: TCP waits instead of giving up.
func TestServerThatDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		p.pause()
		h.send("taken by the Read under way")
		time.Sleep(10 * time.Second)
		h.send("waits")
		h.quiet(time.Hour)
		h.do("AT+QISACK", "\r\n+QISACK: 32, 27, 5\r\n\r\nOK\r\n")
		p.resume()
		p.wants("taken by the Read under waywaits")
		time.Sleep(time.Minute)
		h.do("AT+QISACK", "\r\n+QISACK: 32, 32, 0\r\n\r\nOK\r\n")
	})
}

// TestReceiveWindow shows that a host which does not read holds the server up, that nothing is
// lost, and that it goes on when the host reads, also if the news of it is lost on the air.
func TestReceiveWindow(t *testing.T) {
	const total = 60_000
	text := strings.Repeat("0123456789", total/10)
	for _, newsLost := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			h, p := connectedTo(t, gsmsim.Config{}, "AT+QINDI=1")
			written := make(chan struct{})
			go func() {
				io.WriteString(p.conn, text)
				close(written)
			}()
			time.Sleep(10 * time.Minute) // the server asks once a minute by now
			select {
			case <-written:
				t.Fatal("the server got rid of all although nobody reads")
			default:
			}
			h.take()
			limit := 20 * time.Second // 10 s at the radio's rate
			start := time.Now()
			var got strings.Builder
			if newsLost {
				limit = 3 * time.Minute
				h.m.SetCoverage(false)
				h.drain(&got)
				h.m.SetCoverage(true)
			}
			for got.Len() < total {
				h.drain(&got)
				time.Sleep(time.Second)
				if time.Since(start) > limit {
					t.Fatalf("%d bytes after %v", got.Len(), limit)
				}
			}
			if got.String() != text {
				t.Error("what was read is not what was sent")
			}
		})
	}
}

// drain reads until the module has no more, without a look at URCs.
func (h *host) drain(to *strings.Builder) {
	h.t.Helper()
	for {
		h.write("AT+QIRD=0,1,0,1000\r")
		reply := h.until("OK\r\n", time.Minute)
		i := strings.Index(reply, "TCP,")
		if i < 0 {
			return
		}
		var n int
		if _, err := fmt.Sscanf(reply[i:], "TCP,%d\r\n", &n); err != nil {
			h.t.Fatal(err)
		}
		data := reply[i+strings.Index(reply[i:], "\n")+1:]
		to.WriteString(data[:n])
	}
}
