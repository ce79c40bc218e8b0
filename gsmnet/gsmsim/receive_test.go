package gsmsim_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// header is the line before n bytes of a QIRD reply from the test server.
func header(n int) string { return fmt.Sprintf("\r\n+QIRD: 192.0.2.1:1883,TCP,%d\r\n", n) }

func TestOneQIRDIForSeveralPackets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{}, "AT+QINDI=1")
		for _, s := range []string{"first ", "second ", "third"} {
			io.WriteString(p.conn, s)
			time.Sleep(5 * time.Second)
		}
		h.wait("\r\n+QIRDI: 0,1,0\r\n", time.Second)
		h.quiet(time.Minute)
		h.do("AT+QIRD=0,1,0,8", header(8)+"first se\r\nOK\r\n") // the rest stays
		io.WriteString(p.conn, "!")
		h.quiet(time.Minute) // the buffer has not been empty
		h.do("AT+QIRD=0,1,0,1500", header(11)+"cond third!\r\nOK\r\n")
		h.do("AT+QIRD=0,1,0,1500", "\r\nOK\r\n")
		io.WriteString(p.conn, "again")
		h.wait("\r\n+QIRDI: 0,1,0\r\n", 5*time.Second)
		h.do("AT+QIRD=0,1,0,1501", "\r\nERROR\r\n")
		h.do("AT+QIRD=1,1,0,100", "\r\nERROR\r\n")
		h.do("AT+QIRD=0,1,7,100", "\r\nERROR\r\n")
		h.m.SetFaults(gsmsim.Faults{FailReads: 1})
		h.do("AT+QIRD=0,1,0,1500", "\r\nERROR\r\n")
		h.do("AT+QIRD=0,1,0,1500", header(5)+"again\r\nOK\r\n")
		h.m.SetFaults(gsmsim.Faults{DropURCs: 1, DropURC: "+QIRDI"})
		io.WriteString(p.conn, "lost")
		h.quiet(time.Minute)
		h.do("AT+QIRD=0,1,0,1500", header(4)+"lost\r\nOK\r\n")
	})
}

func TestCountedQIRDI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{Model: gsmsim.Model{ReadByPacket: true, ReadMax: 1024}}, "AT+QINDI=2")
		for _, n := range []int{1332, 1359, 2} {
			io.WriteString(p.conn, strings.Repeat("x", n))
			time.Sleep(5 * time.Second)
		}
		h.wait("\r\n+QIRDI: 0,1,0,1,1332,1332\r\n\r\n+QIRDI: 0,1,0,2,1359,2691\r\n\r\n+QIRDI: 0,1,0,3,2,2693\r\n", time.Second)
		h.do("AT+QIRD=0,1,0,1025", "\r\nERROR\r\n")
		for _, n := range []int{1024, 308, 1024, 335, 2} { // packet by packet
			h.do("AT+QIRD=0,1,0,1024", header(n)+strings.Repeat("x", n)+"\r\nOK\r\n")
		}
		h.do("AT+QIRD=0,1,0,1024", "\r\nOK\r\n")
	})
}

func TestPushedData(t *testing.T) {
	tests := []struct {
		settings []string
		want     string
	}{
		{nil, "data"},
		{[]string{"AT+QIHEAD=1"}, "IPD4:data"},
		{[]string{"AT+QIHEAD=1", "AT+QISHOWPT=1"}, "IPD4TCP:data"},
		{[]string{"AT+QIHEAD=1", "AT+QISHOWPT=1", "AT+QISHOWRA=1"}, "\r\nRECV FROM: 192.0.2.1:1883\r\nIPD4TCP:data"},
	}
	for _, test := range tests {
		bubble(t, func(t *testing.T) {
			h, p := connectedTo(t, gsmsim.Config{}, test.settings...)
			io.WriteString(p.conn, "data")
			h.wait(test.want, 5*time.Second)
			h.quiet(time.Minute)
		})
	}
}

func TestURCsAmongReplies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{Timing: gsmsim.Timing{Answer: time.Second}}, "AT+QINDI=1")
		h.write("AT+CSQ\r")
		time.Sleep(500 * time.Millisecond)
		h.m.URC("RING") // falls between a command and its reply
		h.wait("\r\nRING\r\n\r\n+CSQ: 21,0\r\n\r\nOK\r\n", 5*time.Second)

		h.m.SetFaults(gsmsim.Faults{URCInReply: true})
		io.WriteString(p.conn, "OK\r\n")
		time.Sleep(time.Minute)
		h.take()
		h.write("AT+QIRD=0,1,0,100\r")
		time.Sleep(500 * time.Millisecond)
		h.m.URC("RING") // in the reply, but not inside the counted bytes
		h.wait(header(4)+"OK\r\n\r\nRING\r\n\r\nOK\r\n", 5*time.Second)
	})
}

func TestUDP(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		h := online(t, gsmsim.Config{Dial: s.dial}, "AT+QINDI=1")
		h.open("UDP", "192.0.2.1:123")
		p := newPeer(t, <-s.conns)
		h.send("question")
		p.wants("question")
		h.do("AT+QISACK", "\r\n+QISACK: 8, 0, 8\r\n\r\nOK\r\n") // means nothing here
		io.WriteString(p.conn, "one")
		io.WriteString(p.conn, "two")
		h.wait("\r\n+QIRDI: 0,1,0\r\n", 5*time.Second)
		time.Sleep(time.Second)
		for _, datagram := range []string{"one", "two"} {
			h.do("AT+QIRD=0,1,0,1024", "\r\n+QIRD: 192.0.2.1:123,UDP,3\r\n"+datagram+"\r\nOK\r\n")
		}
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")
		if got, want := h.m.Stats().AirUp, uint64(8+28); got != want {
			t.Errorf("%d bytes went up, want %d", got, want)
		}
	})
}
