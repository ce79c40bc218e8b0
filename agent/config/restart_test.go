package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/config"
)

// restarting is a configuration with the given keys of modem.restart.
func restarting(keys string) string {
	return strings.Replace(minimal, "{apn: CMNET}", "{apn: CMNET, restart: {"+keys+"}}", 1)
}

func TestParseWire(t *testing.T) {
	for text, want := range map[string]config.Wire{
		"gpiochip0/17":  {Chip: "gpiochip0", Offset: 17},
		"!gpiochip4/0":  {Chip: "gpiochip4", Inverted: true},
		"dtr":           {Line: config.LineDTR},
		"rts":           {Line: config.LineRTS},
		"modem-gpios/3": {Chip: "modem-gpios", Offset: 3},
	} {
		got, err := config.ParseWire(text)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", text, err, d)
		}
	}
	for _, text := range []string{"", "17", "gpiochip0", "gpiochip0/", "gpiochip0/x", "gpiochip0/-1", "gpiochip0/70000", "/dev/gpiochip0/1", "!dtr", "cts", "!/3"} {
		if w, err := config.ParseWire(text); err == nil {
			t.Errorf("%q was taken as %+v", text, w)
		}
	}
}

func TestRestart(t *testing.T) {
	got := parse(t, restarting("power_key: gpiochip0/17, emerg_off: \"!gpiochip0/27\", status: gpiochip0/22")).Modem.Restart
	want := config.Restart{PowerKey: "gpiochip0/17", EmergOff: "!gpiochip0/27", Status: "gpiochip0/22"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got = parse(t, restarting("command: [/usr/local/sbin/modem-power, cycle]")).Modem.Restart
	if d := cmp.Diff(config.Restart{Command: config.List{"/usr/local/sbin/modem-power", "cycle"}}, got); d != "" {
		t.Error(d)
	}
}

func TestRestartRefused(t *testing.T) {
	for text, want := range map[string]string{
		"power_key: gpiochip0/17":              "PWRKEY is a toggle",
		"power_key: 17, status: gpiochip0/1":   "is no wire",
		"status: gpiochip0/22":                 "restarts nothing",
		"power_key: gpiochip0/17, status: dtr": "can't show STATUS",
		"emerg_off: dtr, command: [/bin/true]": "wires are named too",
		"command: [modem-power, cycle]":        "no absolute path",
	} {
		_, err := config.Parse("test.yaml", []byte(restarting(text)), nil)
		if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0].Message, want) {
			t.Errorf("%s: got %+v, want %q", text, got, want)
		}
	}
}
