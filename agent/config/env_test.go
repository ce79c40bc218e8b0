package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/agent/config"
)

func TestVariablesOverrideTheFile(t *testing.T) {
	got := parse(t, minimal+"queue: {max_bytes: 10x}\n", // broken, and replaced
		"FIELDPOST_DEVICE=other",
		"FIELDPOST_QUEUE_MAX_BYTES=2MiB",
		"FIELDPOST_BROKER_URL=mqtt://a.example, mqtts://b.example",
		"FIELDPOST_BROKER_USERNAME=me",
		"FIELDPOST_BROKER_PASSWORD=hunter2",
		"FIELDPOST_SOURCES_MQTT_LISTEN=off",
		"FIELDPOST_SOURCES_HTTP_LISTEN=",
		"FIELDPOST_PORT=tcp://10.0.0.1:80") // what an orchestrator sets, not ours
	if got.Device != "other" || got.Queue.MaxBytes != 2<<20 || len(got.Broker.URL) != 2 ||
		got.Broker.Password.Reveal() != "hunter2" || got.Sources.MQTT.Listen != "" || got.Sources.HTTP.Listen != "" {
		t.Errorf("got %s", got.Show())
	}
	if shown := string(got.Show()); strings.Contains(shown, "hunter2") || !strings.Contains(shown, "password: \"********\"") {
		t.Errorf("got\n%s\nwant the password masked", shown)
	}
}

// Every key that is shown can be set by its variable: a value that no key
// takes is reported with the variable's name, or taken where any text is fine.
func TestEveryKeyHasItsVariable(t *testing.T) {
	var section []string
	count := 0
	for line := range strings.Lines(string(parse(t, minimal).Show())) {
		name, rest, _ := strings.Cut(line, ":")
		depth := (len(name) - len(strings.TrimLeft(name, " "))) / 2
		section = append(section[:depth], strings.TrimSpace(name))
		if strings.TrimSpace(rest) == "" {
			continue
		}
		count++
		variable := "FIELDPOST_" + strings.ToUpper(strings.Join(section, "_"))
		c, err := config.Parse("test.yaml", []byte(minimal), []string{variable + "=/no good\x00"})
		if err == nil && !strings.Contains(fmt.Sprintf("%+v", *c), "/no good") || err != nil && !strings.Contains(err.Error(), variable+": "+strings.Join(section, ".")) {
			t.Errorf("%s does nothing: %v", variable, err)
		}
	}
	if count < 30 {
		t.Errorf("only %d keys were tried", count)
	}
}

func TestMisspeltVariable(t *testing.T) {
	_, err := config.Parse("test.yaml", []byte(minimal), []string{"FIELDPOST_BROKER_ULR=mqtt://a.example"})
	want := "config: FIELDPOST_BROKER_ULR: names no key\n      = did you mean FIELDPOST_BROKER_URL?"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	secret := write(t, filepath.Join(dir, "password"), "hunter2\n", 0o640)
	wide := write(t, filepath.Join(dir, "wide"), "hunter2", 0o644)
	file := write(t, filepath.Join(dir, "config.yaml"), minimal, 0o644)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(password string) []string {
		return []string{"FIELDPOST_BROKER_USERNAME=me", "FIELDPOST_BROKER_PASSWORD_FILE=" + password}
	}

	c, err := config.Load(file, env(secret))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Broker.Password.Reveal(), "hunter2"; got != want {
		t.Errorf("got password %q, want %q", got, want)
	}
	for _, text := range []string{string(c.Show()), fmt.Sprintf("%v %+v %#v %s", *c, *c, *c, c.Broker.Password)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the password is told: %s", text)
		}
	}
	if shown := string(c.Show()); !strings.Contains(shown, "password_file: "+secret) || strings.Contains(shown, "password: ") {
		t.Errorf("got\n%s\nwant the file's name alone", shown)
	}

	for _, tc := range []struct {
		name, want string
		env        []string
	}{
		{"readable by everybody", "chmod 0640 " + wide, env(wide)},
		{"missing", "no such file", env(filepath.Join(dir, "absent"))},
		{"a directory", "is not a file", env(dir + "/.")},
		{"given twice", "remove one of the two", append(env(secret), "FIELDPOST_BROKER_PASSWORD=x")},
		{"users file too wide", "sources.mqtt.users_file: ", []string{"FIELDPOST_SOURCES_MQTT_USERS_FILE=" + wide}},
		{"key too wide", "broker.client_key_file: ", []string{"FIELDPOST_BROKER_CLIENT_CERT_FILE=" + secret, "FIELDPOST_BROKER_CLIENT_KEY_FILE=" + wide}},
		{"not a PIN", "four to eight digits", []string{"FIELDPOST_MODEM_PIN_FILE=" + secret}},
		{"not a certificate", "holds no certificate", []string{"FIELDPOST_BROKER_CA_FILE=" + wide}},
		{"certificates from a pipe", "is not a file", []string{"FIELDPOST_BROKER_CA_FILE=" + pipe}},
		{"certificate missing", "broker.ca_file: can't read", []string{"FIELDPOST_BROKER_CA_FILE=" + dir + "/absent"}},
	} {
		_, err := config.Load(file, tc.env)
		if got := problems(t, err); len(got) != 1 || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want one problem with %q", tc.name, err, tc.want)
		}
	}
}

func TestFileThatEverybodyMayChangeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: false, 0o664: false, 0o602: true, 0o646: true, 0o666: true} {
		_, err := config.Load(write(t, path, minimal, mode), nil)
		if (err != nil) != refused {
			t.Errorf("mode %#o: got %v, want refused: %v", mode, err, refused)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod o-w "+path) {
			t.Errorf("mode %#o: got %v, want the command that mends it", mode, err)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	long := write(t, filepath.Join(dir, "long"), strings.Repeat("# x\n", 1<<19), 0o644)
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"): "fieldpost config init > ",
		dir:                          "is a directory",
		long:                         "longer than 1MiB",
	} {
		if _, err := config.Load(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
