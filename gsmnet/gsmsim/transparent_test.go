package gsmsim_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// transparent is online in transparent mode with a connection.
func transparent(t *testing.T, cfg gsmsim.Config) (*host, *peer) {
	t.Helper()
	s := newServer()
	cfg.Dial = s.dial
	h := online(t, cfg, "AT+QIMODE=1")
	h.write(`AT+QIOPEN="TCP","192.0.2.1","1883"` + "\r")
	h.wait("\r\nOK\r\n\r\nCONNECT\r\n", 5*time.Second) // not CONNECT OK
	return h, newPeer(t, <-s.conns)
}

func TestTransparent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := transparent(t, gsmsim.Config{})
		h.write("AT+CSQ\r") // data now, without echo
		h.quiet(time.Minute)
		p.wants("AT+CSQ\r")
		io.WriteString(p.conn, "CLOSED\r\n+PDP DEACT\r\n")
		h.wait("CLOSED\r\n+PDP DEACT\r\n", 5*time.Second)

		h.write("a")
		time.Sleep(500 * time.Millisecond)
		h.write("+++") // no silence before it: data
		h.quiet(time.Minute)
		h.write("+++b") // none behind it
		h.quiet(time.Minute)
		p.wants("AT+CSQ\ra++++++b")

		h.write("+")
		time.Sleep(200 * time.Millisecond)
		h.write("++")
		h.quiet(900 * time.Millisecond)
		h.wait("\r\nOK\r\n", time.Second)
		h.do("AT+QISACK", "\r\n+QISACK: 15, 15, 0\r\n\r\nOK\r\n")
		io.WriteString(p.conn, "kept for later")
		h.quiet(5 * time.Second)
		h.write("ATO\r")
		h.wait("\r\nCONNECT\r\nkept for later", time.Second)

		p.conn.Close()
		h.wait("\r\nCLOSED\r\n", 5*time.Second)
		h.do("ATO", "\r\nNO CARRIER\r\n")
	})
}

func TestTransparentPackets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := transparent(t, gsmsim.Config{})
		time.Sleep(time.Second)
		before := h.m.Stats()
		for range 3 { // QITCFG=3,2,512,1: together after 200 ms
			h.write("abc")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if got := h.m.Stats().DataUp - before.DataUp; got != 9 {
			t.Errorf("%d bytes went up, want 9", got)
		}
		if got := h.m.Stats().PacketsUp - before.PacketsUp; got != 1 {
			t.Errorf("%d packets for three writes, want 1", got)
		}
		h.write(strings.Repeat("x", 1024)) // at once as two of 512
		time.Sleep(time.Minute)
		if got := h.m.Stats().PacketsUp - before.PacketsUp; got != 3 {
			t.Errorf("%d packets in all, want 3", got)
		}
		h.write(strings.Repeat("y", 50_000)) // more than the window: the line holds the host back
		time.Sleep(5 * time.Minute)
		p.wants("abcabcabc" + strings.Repeat("x", 1024) + strings.Repeat("y", 50_000))
	})
}
