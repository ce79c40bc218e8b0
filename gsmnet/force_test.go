package gsmnet_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestForcedCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		for _, line := range []string{"AT+QISEND=5", "AT +CPIN=\"1234\"", "AT+CLCK=\"SC\",1,\"1234\"", "ATD123;", "AT+CMGS=\"1\"", "AT\x1a", "CSQ", "AT+IPR=9600"} {
			if _, err := r.ForceCommand(t.Context(), line); gsmnet.CauseOf(err) != gsmnet.CauseUsage {
				t.Errorf("%q, forced: got %v, want cause usage", line, err)
			}
		}
		for line, want := range map[string]string{
			"AT+QICLOSE": "CLOSE OK", "AT+QIDEACT": "DEACT OK", "ATE1": "", "AT&F": "", "AT+CFUN=1": "",
		} {
			c, f := r.dialed(t)
			roundTrip(t, c, f, 500)
			lines, err := r.ForceCommand(t.Context(), line)
			if got := strings.Join(lines, "|"); err != nil || got != want {
				t.Errorf("%q: got %q, %v", line, got, err)
			}
			if _, err := c.Read(make([]byte, 1)); gsmnet.CauseOf(err) != gsmnet.CauseLink {
				t.Errorf("%q: the connection ended with %v, want cause link", line, err)
			}
			c.Close()
		}
		// What disturbs nothing ends nothing.
		c, f := r.dialed(t)
		if _, err := r.ForceCommand(t.Context(), "AT+CSQ"); err != nil {
			t.Error(err)
		}
		roundTrip(t, c, f, 500)
	})
}
