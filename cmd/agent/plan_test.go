package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPlanSpeaksOfBufferFlashAndBudget(t *testing.T) {
	dir := t.TempDir()
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), `device: pump-07
modem: {apn: CMNET}
broker: {url: "mqtts://broker.example"}
queue: {max_bytes: 1MiB}
budget: {monthly_bytes: 1MB, reserve: 100kB}
`)
	out, errOut, code := call(t, "plan", conf, "--rate", "site/pump-07/pressure=1/min:12", "--json")
	if code != 1 {
		t.Fatalf("exit code %d: %s; want 1, for the budget is too small", code, errOut)
	}
	p := decode(t, out)
	if p["fits"] != false || p["messages_per_month"] != float64(43200) || p["buffer_bound"] != "bytes" {
		t.Errorf("got %s", out)
	}
	// A record of 66 bytes: 1 MiB holds 15 887 of them, 11 days.
	if got := p["buffer_days"].(float64); got < 10.5 || got > 11.5 {
		t.Errorf("%.1f days of buffer, want 11", got)
	}
	// Measured: 21 KB written for a message of its own.
	if got := p["flash_bytes_per_message"].(float64); got < 20_000 || got > 22_000 {
		t.Errorf("%.0f bytes of flash a message, want 21 000", got)
	}
	text, _, _ := call(t, "plan", conf, "--rate", "site/pump-07/pressure=1/min:12")
	if !strings.Contains(text, "DOES NOT FIT") || !strings.Contains(text, "queue.max_bytes") {
		t.Errorf("got\n%s", text)
	}
	rates := writeFile(t, filepath.Join(dir, "rates.yaml"), "site/a: 1/h:10\nsite/b: 2/d:20\n")
	if out, errOut, code = call(t, "plan", conf, "--rates", rates, "--json"); code != 1 || decode(t, out)["messages_per_month"] != float64(780) {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
}

func TestPlanRefusesNonsense(t *testing.T) {
	if f, err := parseFlow("a=3/15m:12"); err != nil || f.Every != 5*time.Minute {
		t.Errorf("three in 15 minutes: got one every %v (%v), want 5m", f.Every, err)
	}
	for _, rate := range []string{"", "a", "a=1", "a=1/min", "a=1/week:3", "a=1/m:3", "a=1/-5m:3", "a=0/h:3", "a=x/h:3", "a=1/h:-1", "#=1/h:3", "a=1/h:x"} {
		if f, err := parseFlow(rate); err == nil {
			t.Errorf("%q was taken for %s", rate, fmt.Sprint(f))
		}
	}
}
