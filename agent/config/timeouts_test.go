package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/config"
)

// modem is a configuration with the given keys of modem.
func modem(keys string) string {
	return strings.Replace(minimal, "{apn: CMNET}", "{apn: CMNET, "+keys+"}", 1)
}

func TestModemTimeouts(t *testing.T) {
	got := parse(t, modem("timeouts: {open: 90s}, roaming: refuse, time_server: time.example:123, restart: {spacing: [15m, 2h]}")).Modem
	want := config.Default().Modem.Timeouts
	want.Open = config.Duration(90 * time.Second)
	if d := cmp.Diff(want, got.Timeouts); d != "" || got.Roaming != config.RoamingRefuse || got.TimeServer != "time.example:123" {
		t.Errorf("%+v %s", got, d)
	}
	if d := cmp.Diff([]time.Duration{15 * time.Minute, 2 * time.Hour}, got.Restart.Waits()); d != "" {
		t.Error(d)
	}
}

func TestModemTimeoutsRefused(t *testing.T) {
	for keys, want := range map[string]string{
		"timeouts: {deactivate: 3m}":        "modem.timeouts.deactivate",
		"timeouts: {hang: 1s}":              "modem.timeouts.hang",
		"timeouts: {opne: 1m}":              "open",
		"roaming: never":                    "modem.roaming",
		"time_server: time.example":         "modem.time_server",
		"time_server: 'x\";AT+CFUN=0;:123'": "modem.time_server",
		"time_server: time.example:0":       "modem.time_server",
		"restart: {spacing: [10m, 30s]}":    "modem.restart.spacing",
		"restart: {spacing: [ten]}":         "modem.restart.spacing",
	} {
		_, err := config.Parse("test.yaml", []byte(modem(keys)), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a word about %s", keys, err, want)
		}
	}
}
