package gsmsim_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// connectedTo is online with one connection to a server whose end it returns.
func connectedTo(t *testing.T, cfg gsmsim.Config, settings ...string) (*host, *peer) {
	t.Helper()
	s := newServer()
	cfg.Dial = s.dial
	h := online(t, cfg, settings...)
	h.open("TCP", "192.0.2.1:1883")
	return h, newPeer(t, <-s.conns)
}

func TestSendFixed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		h.write("AT+QISEND=3\r")
		h.wait("\r\n> ", time.Second) // no line end behind it
		h.quiet(time.Second)
		h.write("\x08\x1a\x1b") // plain data here
		h.wait("\r\nSEND OK\r\n", time.Second)
		h.send("OK\r\n> CLOSED\r\nAT\r")
		p.wants("\x08\x1a\x1bOK\r\n> CLOSED\r\nAT\r")
		for _, bad := range []string{"AT+QISEND=0", "AT+QISEND=1461", "AT+QISEND=x"} {
			h.do(bad, "\r\nERROR\r\n")
		}
		h.do("AT+QISEND=?", "\r\n<length>\r\n\r\nOK\r\n")
	})
}

func TestShortPayloadSwallowsCommands(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		h.write("AT+QISEND=8\r")
		h.wait("\r\n> ", time.Second)
		h.write("four")
		h.quiet(time.Hour) // it waits for ever
		h.write("AT\r")
		h.quiet(time.Hour)
		h.write("!AT\r") // one byte too many for the payload: the rest is a command
		h.wait("\r\nSEND OK\r\n\r\nOK\r\n", time.Second)
		p.wants("fourAT\r!")
	})
}

func TestSendFree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		h.write("AT+QISEND\r")
		h.wait("\r\n> ", time.Second)
		h.write("helpX\x08\x08lo\x1a")
		h.wait("\r\nSEND OK\r\n", time.Second)
		p.wants("hello")
		h.write("AT+QISEND\r")
		h.wait("\r\n> ", time.Second)
		h.write("never mind\x1b")
		h.wait("\r\nOK\r\n", time.Second)
		h.do("AT", "\r\nOK\r\n")
		h.do("AT+QISACK", "\r\n+QISACK: 5, 5, 0\r\n\r\nOK\r\n")
	})
}

func TestPayloadEcho(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{})
		h.do("AT+QISDE=1", "\r\nOK\r\n") // as from the factory; ATE0 does not change it
		h.write("AT+QISEND=5\r")
		h.wait("\r\n> ", time.Second)
		h.write("OK\r\n!")
		h.wait("OK\r\n!\r\nSEND OK\r\n", time.Second)
		h.do("AT+QISDE=0", "\r\nOK\r\n")
		h.do("AT+QIPROMPT=0", "\r\nOK\r\n")
		h.write("AT+QISEND=1\r")
		h.quiet(time.Second)
		h.write("x")
		h.wait("\r\nSEND OK\r\n", time.Second)
		h.do("AT+QIPROMPT=2", "\r\nOK\r\n")
		h.write("AT+QISEND=1\r")
		h.quiet(time.Second)
		h.write("x")
		h.quiet(time.Second)
	})
}

func TestWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		p.pause()
		block := strings.Repeat("w", 1460)
		for range 5 {
			h.send(block)
		}
		h.write("AT+QISEND=1\r")
		h.wait("\r\n> ", time.Second)
		h.write("x")
		h.wait("\r\nSEND FAIL\r\n", time.Second)
		h.do("AT+QISACK", "\r\n+QISACK: 7300, 0, 7300\r\n\r\nOK\r\n") // the first is still on its way back
		p.resume()
		p.wants(strings.Repeat(block, 5))
		time.Sleep(20 * time.Second)
		h.do("AT+QISACK", "\r\n+QISACK: 7300, 7300, 0\r\n\r\nOK\r\n")
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")
		h.open("TCP", "192.0.2.1:1883")
		h.do("AT+QISACK", "\r\n+QISACK: 0, 0, 0\r\n\r\nOK\r\n") // totals of the connection
	})
}

func TestSendFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		h.m.SetFaults(gsmsim.Faults{FailSends: 1, NoPrompt: 1})
		h.write("AT+QISEND=1\r")
		h.quiet(time.Minute)
		h.write("AT+QISEND=1\r")
		h.wait("\r\n> ", time.Second)
		h.write("x")
		h.wait("\r\nSEND FAIL\r\n", time.Second)

		h.send("one")
		time.Sleep(5 * time.Second)
		h.m.SetFaults(gsmsim.Faults{FreezeAcks: true})
		h.do("AT+QISACK", "\r\n+QISACK: 3, 3, 0\r\n\r\nOK\r\n")
		h.send("two")
		time.Sleep(time.Minute)
		h.do("AT+QISACK", "\r\n+QISACK: 6, 3, 3\r\n\r\nOK\r\n")
		h.m.SetFaults(gsmsim.Faults{CutAfterSends: 4})
		h.send("cut")
		h.wait("\r\nCLOSED\r\n", time.Second)
		h.state("IP CLOSE")
		if got := p.all(); got != "onetwo" {
			t.Errorf("the server got %q, want what was sent before the cut", got)
		}
	})
}

func TestBrownOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{Faults: gsmsim.Faults{ResetAfterSends: 2}})
		h.send("one")
		h.write("AT+QISEND=3\r")
		h.wait("\r\n> ", time.Second)
		h.write("two")
		h.wait("\r\nRDY\r\n", 10*time.Second) // neither SEND OK nor CLOSED
		h.until("Call Ready\r\n", 10*time.Second)
		h.do("ATE0", "ATE0\r\r\nOK\r\n")
		h.state("IP INITIAL")
	})
}

func TestClosedBetweenPromptAndData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		h.write("AT+QISEND=4\r")
		h.wait("\r\n> ", time.Second)
		p.conn.Close()
		h.wait("\r\nCLOSED\r\n", 5*time.Second)
		h.write("data")
		h.wait("\r\nSEND FAIL\r\n", time.Second)
		h.do("AT", "\r\nOK\r\n")
	})
}

func TestMultipleSockets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		h := online(t, gsmsim.Config{Dial: s.dial}, "AT+QIMUX=1", "AT+QINDI=1")
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nERROR\r\n") // the form of QIMUX=0
		h.do(`AT+QIOPEN=3,"TCP","192.0.2.1","1883"`, "\r\nOK\r\n")
		h.wait("\r\n3, CONNECT OK\r\n", 5*time.Second)
		first := newPeer(t, <-s.conns)
		h.do(`AT+QIOPEN=3,"TCP","192.0.2.1","1883"`, "\r\nOK\r\n\r\n3, CONNECT FAIL\r\n")
		h.do(`AT+QIOPEN=5,"TCP","192.0.2.2","1883"`, "\r\nOK\r\n")
		h.wait("\r\n5, CONNECT OK\r\n", 5*time.Second)
		second := newPeer(t, <-s.conns)
		h.write("AT+QISEND=5,2\r")
		h.wait("\r\n> ", time.Second)
		h.write("hi")
		h.wait("\r\nSEND OK\r\n", time.Second) // without a number
		second.wants("hi")
		h.do("AT+QISACK", "\r\nERROR\r\n")
		time.Sleep(5 * time.Second)
		h.do("AT+QISACK=5", "\r\n+QISACK: 2, 2, 0\r\n\r\nOK\r\n")
		io.WriteString(second.conn, "yo")
		h.wait("\r\n+QIRDI: 0,1,5\r\n", 5*time.Second)
		h.do("AT+QIRD=0,1,5,100", "\r\n+QIRD: 192.0.2.2:1883,TCP,2\r\nyo\r\nOK\r\n")
		first.conn.Close()
		h.wait("\r\n3, CLOSED\r\n", 5*time.Second)
		h.do("AT+QICLOSE", "\r\nERROR\r\n")
		h.do("AT+QICLOSE=5", "\r\n5, CLOSE OK\r\n")
	})
}
