package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/config"
)

// TestDoctorAsksEveryBroker: the second of two is down, and the doctor says which.
func TestDoctorAsksEveryBroker(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: [\"mqtt://%s\", \"mqtt://127.0.0.1:1\"]}\n", broker.addr))
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := call(t, "doctor", "--config", s.conf)
	if code != exitFailed {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	says(t, stdout, "+ puback        mqtt://"+broker.addr+": the broker has taken", "x tcp           mqtt://127.0.0.1:1: ")
}

// TestDoctorLooksAtTheWires: what would be missing only when the module hangs is found before.
func TestDoctorLooksAtTheWires(t *testing.T) {
	program := filepath.Join(t.TempDir(), "power")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		restart config.Restart
		want    string
	}{
		{"nothing", config.Restart{}, ". restart       by AT+CFUN=1,1 alone"},
		{"no program", config.Restart{Command: config.List{"/no/such/program"}}, "x restart       modem.restart.command: "},
		{"not executable", config.Restart{Command: config.List{program}}, "is no program that can be run"},
		{"a program", config.Restart{Command: config.List{"/bin/sh"}}, "+ restart       /bin/sh can be run"},
		{"no chip", config.Restart{PowerKey: "nosuchchip/1", EmergOff: "nosuchchip/2"}, "x restart       modem.restart.power_key: "},
		{"lines of the port", config.Restart{EmergOff: "dtr"}, "+ restart       the wires are there"},
	} {
		var out bytes.Buffer
		restartCheck(&report{out: &out}, &config.Config{Modem: config.Modem{Restart: tc.restart}})
		if !strings.Contains(out.String(), tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, out.String(), tc.want)
		}
	}
}
