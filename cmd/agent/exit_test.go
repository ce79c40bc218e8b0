package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// exitSites are configurations that lead to each of the exit codes.
type exitSites struct {
	site               // nothing has run here
	fileAsDir   string // data_dir is a file
	below       string // data_dir is below a file
	wrongKey    string
	endless     string // data_dir is a link to itself
	noSuchFile  string
	unreachable string // something else answers on the socket
}

func newExitSites(t *testing.T) exitSites {
	dir := t.TempDir()
	plain := writeFile(t, filepath.Join(dir, "plain"), "")
	config := func(name, dataDir string) string {
		return writeFile(t, filepath.Join(dir, name), fmt.Sprintf("device: pump-07\ndata_dir: %s\nlink: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n"+
			"sources: {mqtt: {listen: off}, http: {listen: off}}\nweb: {listen: off}\n", dataDir))
	}
	s := exitSites{
		site:      newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n"),
		fileAsDir: config("file.yaml", plain), below: config("below.yaml", filepath.Join(plain, "data")),
		wrongKey:    writeFile(t, filepath.Join(dir, "key.yaml"), "devcie: pump-07\n"),
		noSuchFile:  filepath.Join(dir, "missing.yaml"),
		unreachable: config("hung.yaml", t.TempDir()),
		endless:     config("endless.yaml", filepath.Join(dir, "endless")),
	}
	if err := os.Symlink("endless", filepath.Join(dir, "endless")); err != nil {
		t.Fatal(err)
	}
	// It hangs up on everybody who asks.
	l, err := net.Listen("unix", filepath.Join(dataDirOf(t, s.unreachable), "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return s
}

func dataDirOf(t *testing.T, conf string) string {
	t.Helper()
	cfg, err := loadConfig(conf)
	if err != nil {
		t.Fatal(err)
	}
	return cfg.DataDir
}

// TestExitCodes holds every command to the contract: 0 fine, 1 a check failed, 2 wrong usage, 3 no agent, 75 try again,
// 78 configuration.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := newExitSites(t)
	configured := []string{"run", "status", "status --json", "send a 1", "queue stats", "queue ls", "queue show 1", "queue export", "queue purge --all --yes",
		"modem info", "modem at AT", "modem reset", "doctor", "config show"}
	type row struct {
		code int
		args string
		want string // part of standard error
	}
	rows := []row{
		{exitOK, "", ""},
		{exitOK, "--help", ""},
		{exitOK, "queue", ""},
		{exitOK, "version", ""},
		{exitOK, "config init", ""},
		{exitOK, "config check " + s.conf, ""},
		{exitOK, "config show -c " + s.conf, ""},
		{exitUnreachable, "status -c " + s.conf, ""},
		{exitUnreachable, "queue stats -c " + s.conf, "no queue"},
		{exitOK, "send -c " + s.conf + " a/b 1", ""},
		{exitUnreachable, "status --json -c " + s.conf, ""},
		{exitOK, "queue stats -c " + s.conf, ""},
		{exitOK, "queue ls --json -c " + s.conf, ""},
		{exitFailed, "queue show 99 -c " + s.conf, "99"},
		{exitOK, "decode " + vectors + "single.bin", ""},
		{exitFailed, "decode " + s.conf, "could not be read"},
		{exitFailed, "decode " + s.noSuchFile, "no such file"},
		{exitUsage, "decode --as octal " + s.conf, "auto, raw, hex or base64"},
		{exitFailed, "doctor -c " + s.conf, ""},
		{exitConfig, "config check " + s.noSuchFile, "config init"},
		{exitConfig, "config check " + s.wrongKey, `did you mean "device"?`},

		{exitUsage, "stauts", `did you mean "status"? (fieldpost --help`},
		{exitUsage, "config chek x", `did you mean "check"? (fieldpost config --help`},
		{exitUsage, "config check", "fieldpost: config check takes FILE, and got 0 arguments"},
		{exitUsage, "send a", "takes TOPIC PAYLOAD, and got 1 argument "},
		{exitUsage, "status now", `fieldpost: status takes no arguments, and got "now"`},
		{exitUsage, "run --confg x", "unknown flag --confg; did you mean --config?"},
		{exitUsage, "run --config", "--config needs a value: configuration file"},
		{exitUsage, "demo --messages many", `--messages "many": it takes a whole number`},
		{exitUsage, "demo --messages 0", "--messages 0"},
		{exitUsage, "demo --listen nowhere", "web.listen"},
		{exitUsage, "sim", "--pty PATH is missing"},
		{exitUsage, "sim --pty " + s.conf, "is no symbolic link"},
		{exitUsage, "sim --pty /no/such/folder/modem", "/no/such/folder/modem"},
		{exitUsage, "sim --profile m59 --pty " + filepath.Join(t.TempDir(), "x"), "m95"},
		{exitUsage, "status --json --watch -c " + s.conf, "one of the two"},
		{exitUsage, "send --qos -7 a 1 -c " + s.conf, "--qos -7: it is 0, 1 or 2"},
		{exitUsage, "send --qos 5 a 1 -c " + s.conf, "--qos 5: it is 0, 1 or 2"},
		{exitUsage, "send --lane fast a 1 -c " + s.conf, "alarm"},
		{exitUsage, "queue ls --limit 0 -c " + s.conf, "--limit 0"},
		{exitUsage, "queue show x -c " + s.conf, "queue ls"},
		{exitUsage, "queue purge -c " + s.conf, "--all"},

		{exitUnreachable, "status -c " + s.unreachable, "can't be reached"},
		{exitUnreachable, "send a 1 -c " + s.unreachable, "can't be reached"},
		{exitUnreachable, "queue stats -c " + s.unreachable, "can't be reached"},
		{exitUnreachable, "reconnect -c " + s.unreachable, "can't be reached"},
		{exitUnreachable, "modem at AT -c " + s.unreachable, "can't be reached"},
	}
	for _, command := range configured {
		rows = append(rows, row{exitConfig, command + " -c " + s.noSuchFile, "config init"}, row{exitConfig, command + " -c " + s.wrongKey, "devcie"})
	}
	for _, conf := range []string{s.fileAsDir, s.below} {
		for _, command := range []string{"run", "status", "send a 1", "queue stats"} {
			rows = append(rows, row{exitConfig, command + " -c " + conf, "plain"})
		}
	}
	for _, command := range []string{"run", "status", "send a 1", "queue stats"} {
		rows = append(rows, row{exitConfig, command + " -c " + s.endless, "too many levels of symbolic links"})
	}
	for _, r := range rows {
		stdout, stderr, code := call(t, strings.Fields(r.args)...)
		if code != r.code {
			t.Errorf("fieldpost %s: got exit code %d, want %d\n%s%s", r.args, code, r.code, stdout, stderr)
		}
		if !strings.Contains(stderr, r.want) {
			t.Errorf("fieldpost %s: want %q on standard error:\n%s", r.args, r.want, stderr)
		}
		if (code == exitUsage || code == exitConfig) && stdout != "" && !strings.Contains(r.args, "--json") {
			t.Errorf("fieldpost %s: a mistake belongs on standard error alone: %s", r.args, stdout)
		}
	}
}

// TestExitCodeOfAHeldQueue: somebody else has the file, and no agent answers for it.
func TestExitCodeOfAHeldQueue(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	cfg, err := loadConfig(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	q, err := openQueue(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, args := range [][]string{{"send", "a", "1"}, {"run"}} {
		if _, stderr, code := call(t, append(args, "-c", s.conf)...); code != exitTemporary || !strings.Contains(stderr, "queue.db") {
			t.Errorf("%v: got exit code %d, want %d: %s", args, code, exitTemporary, stderr)
		}
	}
}

// TestRightsTooWideAreNoTemporaryFailure: a restart doesn't narrow them.
func TestRightsTooWideAreNoTemporaryFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = queue.Open(queue.Config{Path: path})
	var exit *exitError
	if !errors.As(startError(err), &exit) || exit.code != exitConfig {
		t.Errorf("%v: got %+v, want exit code %d", err, exit, exitConfig)
	}
}
