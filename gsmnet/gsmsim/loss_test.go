package gsmsim_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestClosedByServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{}, "AT+QINDI=1")
		io.WriteString(p.conn, "goodbye")
		p.conn.Close()
		h.wait("\r\n+QIRDI: 0,1,0\r\n\r\nCLOSED\r\n", 5*time.Second)
		h.state("IP CLOSE")
		h.do("AT+QIRD=0,1,0,100", header(7)+"goodbye\r\nOK\r\n")
		h.do("AT+QISEND=3", "\r\nERROR\r\n")
		h.open("TCP", "192.0.2.1:1883")
	})
}

// TestNATForgets also shows that the server does not hear of it: the connection is half open.
func TestNATForgets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{NATIdle: 10 * time.Minute})
		h.send("one")
		time.Sleep(9 * time.Minute)
		h.send("two") // in time
		time.Sleep(time.Minute)
		h.do("AT+QISACK", "\r\n+QISACK: 6, 6, 0\r\n\r\nOK\r\n")
		h.quiet(11 * time.Minute) // no URC
		h.state("CONNECT OK")
		h.send("three")
		time.Sleep(3 * time.Minute)
		h.do("AT+QISACK", "\r\n+QISACK: 11, 6, 5\r\n\r\nOK\r\n")
		h.wait("\r\nCLOSED\r\n", 5*time.Minute) // the module's TCP has given up
		if got, want := p.all(), "onetwo"; got != want {
			t.Errorf("the server got %q, want %q", got, want)
		}
		time.Sleep(24 * time.Hour)
		if at, err := p.end(); err != nil {
			t.Errorf("the server saw the end of the connection at %v: %v", at, err)
		}
		if h.m.Stats().Forgotten == 0 {
			t.Error("no packet was dropped")
		}
		h.open("TCP", "192.0.2.1:1883") // a new connection is a new entry
	})
}

func TestServerGivesUpOnHalfOpenConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		h.m.Reboot()
		time.Sleep(time.Hour)
		if _, err := p.end(); err != nil {
			t.Fatalf("the idle server saw an end: %v", err)
		}
		start := time.Now()
		io.WriteString(p.conn, "are you there?")
		time.Sleep(time.Hour)
		at, err := p.end()
		if got := at.Sub(start); err == nil || got < 15*time.Minute || got > 20*time.Minute {
			t.Errorf("the server's connection ended after %v with %v, want 15 minutes or a little more", got, err)
		}
	})
}

func TestCoverage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{}, "AT+QINDI=1", "AT+CREG=2", "AT+CGREG=1")
		h.do("AT+CREG?", "\r\n+CREG: 2,1,\"2842\",\"0461\"\r\n\r\nOK\r\n")
		h.m.SetCoverage(false)
		h.wait("\r\n+CGREG: 2\r\n\r\n+CREG: 2\r\n", time.Second)
		h.do("AT+CSQ;+CREG?;+CGATT?;+COPS?", "\r\n+CSQ: 99,99\r\n\r\n+CREG: 2,2\r\n\r\n+CGATT: 0\r\n\r\n+COPS: 0\r\n\r\nOK\r\n")
		before := h.m.Stats()
		h.send("held back")
		io.WriteString(p.conn, "held too")
		h.quiet(time.Minute) // neither CLOSED nor +PDP DEACT
		h.state("CONNECT OK")
		h.do("AT+QISACK", "\r\n+QISACK: 9, 0, 9\r\n\r\nOK\r\n")
		if after := h.m.Stats(); after.AirUp != before.AirUp || after.AirDown != before.AirDown {
			t.Errorf("bytes moved without coverage: %+v, then %+v", before, after)
		}
		h.m.SetCoverage(true)
		h.until("\r\n+CREG: 1,\"2842\",\"0461\"\r\n", 5*time.Second)
		h.until("\r\n+CGREG: 1\r\n", 5*time.Second)
		h.wait("\r\n+QIRDI: 0,1,0\r\n", 2*time.Minute)
		p.wants("held back")
		h.do("AT+QISACK", "\r\n+QISACK: 9, 9, 0\r\n\r\nOK\r\n")
		h.do("AT+QIRD=0,1,0,100", header(8)+"held too\r\nOK\r\n")
	})
}

func TestLongLossOfCoverage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{Network: gsmsim.Network{LoseAfter: 20 * time.Minute}})
		h.send("lost")
		h.m.SetCoverage(false)
		h.quiet(4 * time.Minute)
		h.wait("\r\nCLOSED\r\n", 5*time.Minute)
		h.wait("\r\n+PDP DEACT\r\n", 15*time.Minute)
		h.state("PDP DEACT")
		h.m.SetCoverage(true)
		time.Sleep(time.Hour)
		if at, err := p.end(); err != nil {
			t.Errorf("the server saw an end at %v: %v", at, err)
		}
	})
}

func TestContextLossIsHalfOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{Model: gsmsim.Model{ClosedOnDeact: true}})
		h.m.DropContext()
		h.wait("\r\nCLOSED\r\n\r\n+PDP DEACT\r\n", time.Second)
		time.Sleep(time.Hour)
		if _, err := p.end(); err != nil {
			t.Errorf("the server saw an end: %v", err)
		}
	})
}

func TestQICLOSEReachesServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, p := connectedTo(t, gsmsim.Config{})
		block := strings.Repeat("x", 1460)
		for range 3 {
			h.send(block)
		}
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")
		p.wants(block + block + block) // what was queued is still sent
		if _, err := p.end(); err != io.EOF {
			t.Errorf("the server's end of the connection: %v, want EOF", err)
		}
	})
}

func TestDetach(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{})
		h.do("AT+CGATT=0", "\r\n+PDP DEACT\r\n\r\nOK\r\n")
		h.do("AT+CGATT?", "\r\n+CGATT: 0\r\n\r\nOK\r\n")
		h.do("AT+CGATT=1", "\r\nOK\r\n")
		h.do("AT+CGATT?", "\r\n+CGATT: 1\r\n\r\nOK\r\n")
		h.m.SetDenied(true)
		h.do("AT+CREG?", "\r\n+CREG: 0,3\r\n\r\nOK\r\n")
		h.do("AT+CMEE=1", "\r\nOK\r\n")
		h.do("AT+CGATT=1", "\r\n+CME ERROR: 3\r\n")
		h.m.SetDenied(false)
		time.Sleep(5 * time.Second)
		h.do("AT+CREG?", "\r\n+CREG: 0,1\r\n\r\nOK\r\n")
	})
}

func TestFunctionLevels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{}, "AT+CREG=1")
		h.do("AT+CFUN=4", "\r\n+CREG: 0\r\n\r\n+PDP DEACT\r\n\r\nOK\r\n")
		h.do("AT+CFUN?", "\r\n+CFUN: 4\r\n\r\nOK\r\n")
		h.do("AT+CSQ", "\r\n+CSQ: 99,99\r\n\r\nOK\r\n")
		h.write("AT+CFUN=1\r")
		h.until("\r\n+CREG: 1\r\n", 10*time.Second)
		h.do("AT+CFUN?", "\r\n+CFUN: 1\r\n\r\nOK\r\n")
	})
}
