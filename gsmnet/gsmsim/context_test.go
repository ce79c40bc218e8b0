package gsmsim_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// state asks AT+QISTAT, which says OK first.
func (h *host) state(want string) {
	h.t.Helper()
	h.do("AT+QISTAT", "\r\nOK\r\n\r\nSTATE: "+want+"\r\n")
}

func TestContextStates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		h := booted(t, gsmsim.Config{Dial: s.dial})
		h.state("IP INITIAL")
		for _, wrong := range []string{"AT+QIACT", "AT+QILOCIP", "AT+QIDEACT", "AT+QISEND=3", "AT+QICLOSE", "AT+QISACK", "AT+QIRD=0,1,0,10"} {
			h.do(wrong, "\r\nERROR\r\n")
		}
		for _, setting := range []string{"AT+QIFGCNT=0", `AT+QICSGP=1,"internet","user","secret"`, "AT+QIMODE=0", "AT+QIMUX=0", "AT+QINDI=1", "AT+QIDNSIP=0"} {
			h.do(setting, "\r\nOK\r\n")
		}
		h.do(`AT+QICSGP=1,1,"internet"`, "\r\nERROR\r\n") // the form of newer modules
		h.do("AT+QIREGAPP?", "\r\n+QIREGAPP: internet,user,secret\r\n\r\nOK\r\n")

		h.do("AT+QIREGAPP", "\r\nOK\r\n")
		h.do("AT+QIACT", "\r\nERROR\r\n") // the OK came before the state
		time.Sleep(100 * time.Millisecond)
		h.state("IP START")
		h.do("AT+QIREGAPP", "\r\nERROR\r\n")
		h.do("AT+QIMUX=0", "\r\nERROR\r\n")

		start := time.Now()
		h.do("AT+QIACT", "\r\nOK\r\n")
		if got := time.Since(start); got < 2*time.Second {
			t.Errorf("AT+QIACT took %v", got)
		}
		h.state("IP GPRSACT")
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nERROR\r\n") // QILOCIP is a step
		h.do("AT+QILOCIP", "\r\n10.64.0.2\r\n")                     // and has no OK
		h.state("IP STATUS")
		for _, early := range []string{"AT+QIFGCNT=0", `AT+QICSGP=1,"internet"`, "AT+QIMODE=0", "AT+QIMUX=0"} {
			h.do(early, "\r\nERROR\r\n")
		}
		h.do("AT+QIMUX?", "\r\n+QIMUX: 0\r\n\r\nOK\r\n")

		h.open("TCP", "192.0.2.1:1883")
		h.state("CONNECT OK")
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nALREADY CONNECT\r\n")
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n") // no CLOSED follows
		h.state("IP CLOSE")
		h.do("AT+QISEND=3", "\r\nERROR\r\n")
		h.do("AT+QICLOSE", "\r\nERROR\r\n")
		h.open("TCP", "192.0.2.1:1883") // the context is still up
		h.m.DropContext()
		h.wait("\r\n+PDP DEACT\r\n", time.Second)
		h.state("PDP DEACT")
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nERROR\r\n")
		h.do("AT+QIREGAPP", "\r\nERROR\r\n")
		h.do("AT+QIDEACT", "\r\nDEACT OK\r\n")
		h.state("IP INITIAL")
	})
}

func TestChainedActivationFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.do("AT+QIREGAPP;+QIACT", "\r\nERROR\r\n")
	})
}

func TestOpenFromInitial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		h := booted(t, gsmsim.Config{Dial: s.dial})
		h.open("tcp", "192.0.2.1:1883") // the whole bring-up by itself
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")
		h.do("AT+QIDEACT", "\r\nDEACT OK\r\n")
		h.m.SetFaults(gsmsim.Faults{RefuseActivate: true})
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nOK\r\n")
		h.wait("\r\nCONNECT FAIL\r\n", time.Minute)
		h.state("PDP DEACT") // anything but TCP CONNECTING: the context failed
	})
}

func TestOpenRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := online(t, gsmsim.Config{Model: gsmsim.Model{StrictDNSIP: true}})
		for _, bad := range []string{
			`AT+QIOPEN="TCP","server.example","1883"`, // a name with QIDNSIP=0
			`AT+QIOPEN="TCP","192.0.2.1",1883`,        // the port needs quotes
			`AT+QIOPEN="TCP","192.0.2.1"`,
			`AT+QIOPEN="SCTP","192.0.2.1","1883"`,
			`AT+QIOPEN="TCP","192.0.2.1","99999"`,
			`AT+QIOPEN=0,"TCP","192.0.2.1","1883"`, // the form of QIMUX=1
			`AT+QIOPEN`,
		} {
			h.do(bad, "\r\nERROR\r\n")
		}
		h.do("AT+QIDNSIP=1", "\r\nOK\r\n")
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nERROR\r\n")
	})
}

func TestConnectFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refuse := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("refused") }
		h := online(t, gsmsim.Config{Dial: refuse})
		start := time.Now()
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nOK\r\n")
		h.wait("\r\nCONNECT FAIL\r\n", time.Minute)
		if got := time.Since(start); got > 2*time.Second {
			t.Errorf("a refusal took %v, want about a round trip", got)
		}
		h.state("TCP CONNECTING")
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nERROR\r\n")
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")
		h.state("IP CLOSE")
		h.m.SetFaults(gsmsim.Faults{StickConnect: true})
		h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, "\r\nOK\r\n")
		h.quiet(74 * time.Second)
		h.wait("\r\nCONNECT FAIL\r\n", 2*time.Second)
	})
}

func TestAlreadyConnectOrders(t *testing.T) {
	for order, want := range map[string]string{
		"":       "\r\nALREADY CONNECT\r\n",
		"after":  "\r\nOK\r\n\r\nALREADY CONNECT\r\n",
		"before": "\r\nALREADY CONNECT\r\n\r\nOK\r\n",
	} {
		bubble(t, func(t *testing.T) {
			s := newServer()
			h := online(t, gsmsim.Config{Dial: s.dial, Model: gsmsim.Model{AlreadyConnect: order, OKBeforeFinal: true}})
			h.open("TCP", "192.0.2.1:1883")
			h.do(`AT+QIOPEN="TCP","192.0.2.1","1883"`, want)
			h.do("AT+QICLOSE", "\r\nOK\r\n\r\nCLOSE OK\r\n")
			h.do("AT+QIDEACT", "\r\nOK\r\n\r\nDEACT OK\r\n")
		})
	}
}

func TestRepeatedSettingRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{Model: gsmsim.Model{RefuseRepeated: true}})
		h.do("AT+QIMUX=1", "\r\nOK\r\n")
		h.do("AT+QIMUX=1", "\r\nERROR\r\n")
		h.do("AT+QIMUX?", "\r\n+QIMUX: 1\r\n\r\nOK\r\n")
		h.do("AT+QIMUX=7", "\r\nERROR\r\n")
	})
}

func TestAPNRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{Network: gsmsim.Network{APN: "m2m.example"}})
		h.do(`AT+QIREGAPP="wrong","",""`, "\r\nOK\r\n")
		time.Sleep(time.Second)
		h.do("AT+QIACT", "\r\nERROR\r\n")
		h.do("AT+QIDEACT", "\r\nDEACT OK\r\n")
		h.do(`AT+QIREGAPP="m2m.example","",""`, "\r\nOK\r\n")
		time.Sleep(time.Second)
		h.do("AT+QIACT", "\r\nOK\r\n")
	})
}

func TestStuckActivation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.do("AT+QIREGAPP", "\r\nOK\r\n")
		time.Sleep(time.Second)
		h.m.SetFaults(gsmsim.Faults{StickActivate: true})
		h.write("AT+QIACT\r")
		h.quiet(10 * time.Minute)
		if h.m.Reboot(); h.until("Call Ready\r\n", time.Minute) == "" {
			t.Error("no boot")
		}
	})
}

func TestNames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dialled := make(chan string, 4)
		dial := func(_ context.Context, network, address string) (net.Conn, error) {
			dialled <- network + " " + address
			near, far := net.Pipe()
			t.Cleanup(func() { far.Close() })
			return near, nil
		}
		h := online(t, gsmsim.Config{Dial: dial}, "AT+QIDNSIP=1")
		h.open("TCP", "broker.example:1883")
		if got, want := <-dialled, "tcp broker.example:1883"; got != want {
			t.Errorf("dialled %q, want %q", got, want)
		}
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")

		h.write("AT+QIDNSGIP=\"broker.example\"\r")
		h.wait("\r\nOK\r\n", time.Second) // first
		got := h.until(".", 5*time.Second)
		if got != "\r\n198." {
			t.Fatalf("got %q, want an address of 198.18.0.0/15", got)
		}
		address := "198." + h.until("\r\n", time.Second)
		h.open("TCP", address[:len(address)-2]+":1883") // is dialled by its name
		if got, want := <-dialled, "tcp broker.example:1883"; got != want {
			t.Errorf("dialled %q, want %q", got, want)
		}
		h.m.SetFaults(gsmsim.Faults{DNSFails: true})
		h.do("AT+QIDNSGIP=\"other.example\"", "\r\nOK\r\n")
		h.wait("\r\nERROR\r\n", 30*time.Second)
		h.m.SetFaults(gsmsim.Faults{DNSSilent: true})
		h.do("AT+QIDNSGIP=\"other.example\"", "\r\nOK\r\n")
		h.quiet(10 * time.Second)
		h.wait("\r\nERROR\r\n", 10*time.Second)
		h.do(`AT+QIDNSCFG="192.0.2.53","192.0.2.54"`, "\r\nOK\r\n")
		h.do("AT+QIDNSCFG?", "\r\nPrimaryDns: 192.0.2.53\r\n\r\nSecondaryDns: 192.0.2.54\r\n\r\nOK\r\n")
	})
}
