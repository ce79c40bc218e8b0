package gsmsim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestPIN(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := plug(t, gsmsim.Config{Baud: 115200, SIM: gsmsim.SIM{PIN: "1234", PUK: "12345678"}})
		h.until("\r\n+CPIN: SIM PIN\r\n", time.Minute)
		time.Sleep(10 * time.Second)
		h.do("ATE0", "ATE0\r\r\nOK\r\n")
		h.do("AT+CMEE=1", "\r\nOK\r\n")
		h.do("AT+CPIN?;+CREG?", "\r\n+CPIN: SIM PIN\r\n\r\n+CREG: 0,0\r\n\r\nOK\r\n")
		h.do("AT+CIMI", "\r\n+CME ERROR: 11\r\n")
		h.do("AT+QTRPIN", "\r\n+QTRPIN: 3,3,10,10\r\n\r\nOK\r\n")
		h.do(`AT+CPIN="9999"`, "\r\n+CME ERROR: 16\r\n")
		h.do("AT+QTRPIN", "\r\n+QTRPIN: 2,3,10,10\r\n\r\nOK\r\n")
		h.do(`AT+CPIN="1234"`, "\r\nOK\r\n\r\n+CPIN: READY\r\n")
		h.do(`AT+CPIN="1234"`, "\r\n+CME ERROR: 3\r\n")
		time.Sleep(5 * time.Second)
		h.do("AT+CREG?", "\r\n+CREG: 0,1\r\n\r\nOK\r\n")
		h.do("AT+CIMI", "\r\n001010000000001\r\n\r\nOK\r\n")
		h.do("AT+QCCID", "\r\n89001010000000000018\r\n\r\nOK\r\n")
		h.do("AT+CCID", "\r\n+CCID: \"89001010000000000018\"\r\n\r\nOK\r\n")

		h.m.Reboot() // asks again
		h.until("\r\n+CPIN: SIM PIN\r\n", time.Minute)
		h.do("ATE0", "ATE0\r\r\nOK\r\n")
		for range 3 {
			h.do(`AT+CPIN="0000"`, "\r\nERROR\r\n")
		}
		h.do("AT+CPIN?", "\r\n+CPIN: SIM PUK\r\n\r\nOK\r\n")
		h.do(`AT+CPIN="1234"`, "\r\nERROR\r\n")
		h.do(`AT+CPIN="12345678","4321"`, "\r\nOK\r\n\r\n+CPIN: READY\r\n")
	})
}

func TestSIMOutAndIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h, _ := connectedTo(t, gsmsim.Config{})
		h.m.RemoveSIM()
		h.wait("\r\n+CPIN: NOT READY\r\n\r\n+PDP DEACT\r\n", time.Second)
		h.do("AT+CPIN?", "\r\n+CPIN: NOT INSERTED\r\n\r\nOK\r\n")
		h.do("AT+QSIMSTAT?", "\r\n+QSIMSTAT: 0,0\r\n\r\nOK\r\n")
		h.do("AT+CREG?", "\r\n+CREG: 0,0\r\n\r\nOK\r\n")
		h.m.InsertSIM(gsmsim.SIM{ICCID: "89001010000000000026"})
		h.wait("\r\n+CPIN: READY\r\n", time.Second)
		time.Sleep(5 * time.Second)
		h.do("AT+QCCID;+CREG?", "\r\n89001010000000000026\r\n\r\n+CREG: 0,1\r\n\r\nOK\r\n")
	})
}

func TestNoSIMAsCME(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := plug(t, gsmsim.Config{Baud: 115200, SIM: gsmsim.SIM{Absent: true}, Model: gsmsim.Model{CPINAsCME: true, CMEE: 1}})
		h.until("RDY\r\n", time.Minute)
		h.do("ATE0", "ATE0\r\r\nOK\r\n")
		h.do("AT+CPIN?", "\r\n+CME ERROR: 14\r\n") // not read yet
		h.do("AT+CFUN=4", "\r\nERROR\r\n")         // refused until the SIM was reported
		h.until("NOT INSERTED\r\n", time.Minute)
		h.do("AT+CPIN?", "\r\n+CME ERROR: 10\r\n")
	})
}

func TestClock(t *testing.T) {
	bubble(t, func(t *testing.T) { // a bubble begins at midnight of 2000-01-01
		h := plug(t, gsmsim.Config{Baud: 115200, Network: gsmsim.Network{Register: time.Hour}})
		h.until("Call Ready\r\n", time.Minute)
		h.do("ATE0", "ATE0\r\r\nOK\r\n")
		h.write("AT+CCLK?\r")
		if got, want := h.until("OK\r\n", time.Second), `+CCLK: "04/01/01,00:00:0`; !strings.Contains(got, want) {
			t.Errorf("the clock before registration: %q, want %q in it", got, want)
		}
		h.do("AT+QNITZ", "\r\n+QNITZ: \"80/01/06,00:00:14+22\"\r\n\r\nOK\r\n")
		h.do("AT+QNITZ=1", "\r\nOK\r\n")
		if got, want := h.until("\"\r\n", 2*time.Hour), `+QNITZ: "00/01/01,01:00:0`; !strings.Contains(got, want) {
			t.Errorf("the network's time: %q, want %q in it", got, want)
		}
		h.do(`AT+CCLK="30/02/31,00:00:00+00"`, "\r\nERROR\r\n")
	})
}

func TestCellInfo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.do("AT+QENG=1", "\r\nOK\r\n")
		h.do("AT+QENG?", "\r\n+QENG: 1,0\r\n\r\n+QENG: 0,001,01,2842,0461,60,23,-71,x,x,x,x,x,x,x\r\n\r\nOK\r\n")
	})
}
