package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestFileBrokenBesideTheAgent: what runs is told, and that it would not start again.
func TestFileBrokenBesideTheAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	agent := ready(t, s)
	whole, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]struct{ more, says string }{
		"unknown key": {"devcie: pump-08\n", "devcie"},
		"no YAML":     {"queue: {max_bytes: [\n", "not valid YAML"},
	} {
		writeFile(t, s.conf, string(whole)+broken.more)
		for _, test := range []struct {
			args, want string
			code       int
		}{
			{"status", "pump-07", exitFailed}, // the broker is not there
			{"status --json", `"running":true`, exitFailed},
			{"reconnect", "the agent connects", exitOK},
			{"queue stats", "messages  1", exitOK},
			{"queue ls", "site/first", exitOK},
			{"usage", "by cause", exitOK},
			{"modem at AT", "", exitFailed},
		} {
			stdout, stderr, code := call(t, append(strings.Fields(test.args), "-c", s.conf)...)
			if code != test.code || !strings.Contains(stdout, test.want) {
				t.Errorf("%s, %s: got exit code %d, want %d and %q in:\n%s%s", name, test.args, code, test.code, test.want, stdout, stderr)
			}
			says(t, stderr, "the file is broken", broken.says)
		}
	}
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	for _, args := range [][]string{{"status"}, {"reconnect"}, {"queue", "ls"}} {
		if _, stderr, code := call(t, append(args, "-c", s.conf)...); code != exitConfig || strings.Contains(stderr, "the agent runs") {
			t.Errorf("%v without an agent: got exit code %d, want %d: %s", args, code, exitConfig, stderr)
		}
	}
}
