package gsmnet_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestConfigRefusesWhatWouldLeaveAnArgument(t *testing.T) {
	for _, bad := range []string{"a\"b", "a\rAT+CPIN=1", "a\x1ab", "a\x1bb", "naïve", "a b", "a\x00", strings.Repeat("x", 200)} {
		for name, c := range map[string]gsmnet.Config{
			"APN":      {APN: bad},
			"User":     {APN: "a", User: bad},
			"Password": {APN: "a", Password: bad},
			"PIN":      {PIN: bad},
		} {
			err := c.Validate()
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %q: %v", name, bad, err)
			}
			if name != "APN" && err != nil && strings.Contains(err.Error(), bad) {
				t.Errorf("the error tells the secret: %v", err)
			}
		}
	}
	good := gsmnet.Config{APN: "m2m.operator_1.example", User: "user@x", Password: "p%!'", PIN: "1234"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestDialRefusesBadAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		for _, c := range []struct{ network, address string }{
			{"tcp", "host"}, {"tcp", "host:0"}, {"tcp", "host:65536"}, {"tcp", "host:mqtt"}, {"tcp", ":1883"}, {"tcp", "[::1]:1883"},
			{"tcp", "a\"b:1"}, {"tcp", "a\r:1"}, {"tcp", "ä.example:1"}, {"tcp6", "host:1"}, {"unix", "/x"},
		} {
			_, err := r.DialContext(t.Context(), c.network, c.address)
			if gsmnet.CauseOf(err) != gsmnet.CauseUsage {
				t.Errorf("%s %q: %v", c.network, c.address, err)
			}
		}
		if r.Stats().Commands != 0 {
			t.Error("the module was asked all the same")
		}
	})
}

func TestCommandRefusesWhatDisturbs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		for _, line := range []string{"", "hello", "AT+QISEND=5", "at+qisend=5", "AT +QIRD=0,1,0,10", "AT+CPIN=\"1234\"", "ATZ", "AT&F", "ATE1",
			"AT+QOPS?", "AT+CSQ;+CPIN=\"1\"", "AT+CSQ\rATZ", "AT+CFUN=1,1", "AT\x1a", "AT+QICLOSE", "ATD123"} {
			if _, err := r.Command(t.Context(), line); gsmnet.CauseOf(err) != gsmnet.CauseUsage {
				t.Errorf("%q: %v", line, err)
			}
		}
		if err := r.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines, err := r.Command(t.Context(), "AT+CSQ")
		if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "+CSQ:") {
			t.Errorf("got %q, %v", lines, err)
		}
	})
}

func TestInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, f := r.dialed(t)
		go io.Copy(io.Discard, f)
		go c.Write(make([]byte, 20_000)) // running traffic
		i, err := r.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i.Model != "Quectel_M95" || i.IMEI == "" || i.ICCID == "" || i.Operator != "TEST NETWORK" || i.Registration != "home" ||
			i.SignalDBm == nil || *i.SignalDBm != -71 || !i.IP.IsValid() || i.Revision == "" {
			t.Errorf("%+v", i)
		}
	})
}

func TestConfigRefusesWhatCantBe(t *testing.T) {
	for name, c := range map[string]gsmnet.Config{
		"Mode":         {Mode: gsmnet.Transparent + 1},
		"Receive":      {Receive: gsmnet.Pushed + 1},
		"DataSize":     {DataSize: 1461},
		"TimeServer":   {TimeServer: "time.example"},
		"Spacing":      {Spacing: []time.Duration{time.Second}},
		"SyncTries":    {SyncTries: -1},
		"Window":       {Window: 1000},
		"DeactTimeout": {DeactTimeout: 2 * time.Minute},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
