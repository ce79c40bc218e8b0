package gsmsim_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestProfilesBoot(t *testing.T) {
	for _, name := range gsmsim.Profiles() {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				cfg, err := gsmsim.Profile(name)
				if err != nil {
					t.Fatal(err)
				}
				h := plug(t, cfg)
				time.Sleep(2 * time.Minute)
				for range 5 { // the first ones may be lost
					h.write("AT\r")
					time.Sleep(time.Second)
				}
				h.take()
				h.write("AT+CREG?\r")
				time.Sleep(time.Second)
				got := strings.ReplaceAll(h.take(), " ", "")
				if !strings.Contains(got, "+CREG:0,1\r\n") {
					t.Errorf("after two minutes: %q", got)
				}
			})
		})
	}
}

func TestProfileFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "field.json")
	text := `{"base": "m66", "nat_idle": "10m", "seed": 7,
		"radio": {"up": 1500, "rtt": "1s", "loss": 0.01}, "sim": {"pin": "0000"}, "faults": {"freeze_acks": true}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := gsmsim.Profile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := gsmsim.Profile("m66")
	if err != nil {
		t.Fatal(err)
	}
	want.NATIdle, want.Seed = 10*time.Minute, 7
	want.Radio = gsmsim.Radio{Up: 1500, RTT: time.Second, Loss: 0.01}
	want.SIM.PIN, want.Faults.FreezeAcks = "0000", true
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gsmsim.Config{}, "Dial", "Trace")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestProfileErrors(t *testing.T) {
	if _, err := gsmsim.Profile("m59"); err == nil || !strings.Contains(err.Error(), "m95-autobaud") {
		t.Errorf("an unknown name: %v, want the names that exist", err)
	}
	tests := []struct{ text, want string }{
		{`[]`, "a JSON object is expected"},
		{`{"radio": {"upp": 3}}`, "radio.upp: no such key; there are up, down, rtt"},
		{`{"nat_idle": 10}`, `nat_idle: 10 is no duration`},
		{`{"radio": {"up": "fast"}}`, `radio.up: "fast" is no int`},
		{`{"radio": {"up": -1}}`, `radio.up: -1 is below 0`},
		{`{"radio": 3}`, "radio: an object is expected"},
		{`{"base": "m59"}`, "base: m59 is none of m95"},
		{`{"baud": 1234}`, "baud: 1234 is none of"},
		{`{"model": {"spacing": "wide"}}`, `model.spacing: "wide" is none of`},
		{`{"faults": {"lose_byte": 2}}`, "faults.lose_byte: 2 is no share"},
		{`{} {}`, "there is more"},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "p.json")
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := gsmsim.Profile(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want %q and the path in it", test.text, err, test.want)
		}
	}
}
