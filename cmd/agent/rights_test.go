package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestExitCodesWithoutRights: whoever may not look into data_dir gets one answer from the start and from the commands.
func TestExitCodesWithoutRights(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(program); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "rights")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "config.yaml")
	text := "device: a\ndata_dir: " + data + "\nlink: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nsources: {mqtt: {listen: off}, http: {listen: off}}\nweb: {listen: off}\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"run", "send a 1", "status", "queue stats", "reconnect"} {
		cmd := exec.Command(program, append(strings.Fields(args), "-c", conf)...)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != exitConfig || !strings.Contains(string(out), data) {
			t.Errorf("%s: got exit code %d, want %d and the folder named:\n%s", args, code, exitConfig, out)
		}
	}
}
