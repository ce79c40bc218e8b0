package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/agent/config"
)

func TestSocketOfABrokenFile(t *testing.T) {
	const usual = "/srv/fp/control.sock"
	for name, test := range map[string]struct {
		text string
		env  []string
		want string // "": it can't be told
	}{
		"whole":                  {text: "device: a\ndata_dir: /srv/fp\n", want: usual},
		"unknown key":            {text: "devcie: a\ndata_dir: /srv/fp\n", want: usual},
		"bad value elsewhere":    {text: "data_dir: /srv/fp\nqueue: {max_bytes: lots}\n", want: usual},
		"no YAML behind it":      {text: "data_dir: /srv/fp # here\nbroker:\n  url: [\n", want: usual},
		"no YAML before it":      {text: "broker: {url: \n  : [}\n\"data_dir\": /srv/fp\n", want: usual},
		"own socket":             {text: "broker: {url: [\ndata_dir: /srv/fp\ncontrol:\n  # beside the log\n\n  socket: /run/fp.sock\n", want: "/run/fp.sock"},
		"default":                {text: "broker: {url: [\n", want: "/var/lib/fieldpost/control.sock"},
		"from the environment":   {text: "broker: {url: [\n", env: []string{"FIELDPOST_DATA_DIR=/srv/fp"}, want: usual},
		"environment comes last": {text: "broker: {url: [\ndata_dir: /other\n", env: []string{"FIELDPOST_DATA_DIR=/srv/fp"}, want: usual},
		"bad data_dir":           {text: "data_dir: {a: b}\n"},
		"broken data_dir":        {text: "data_dir: \"/srv\nbroker: {}\n"},
		"control is no section":  {text: "data_dir: /srv/fp\ncontrol: 7\n"},
		"broken in braces":       {text: "{data_dir: /srv/fp, broker: [}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, ok := config.Socket(path, test.env)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("got %q, %v; want %q", got, ok, test.want)
			}
		})
	}
	if got, ok := config.Socket(filepath.Join(t.TempDir(), "missing.yaml"), nil); ok {
		t.Errorf("a file that isn't there: got %q", got)
	}
}
