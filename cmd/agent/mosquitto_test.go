package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// mosquitto is a real broker on a port of its own, with a session store that survives a restart.
type mosquitto struct {
	t      *testing.T
	path   string
	config string
	addr   string
	run    *program
}

// startMosquitto starts the broker; extra lines go into its configuration.
func startMosquitto(t *testing.T, extra string) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
		if _, err := os.Stat(path); err != nil {
			t.Fatal("mosquitto is not installed: scripts/test installs it (apt-get install mosquitto)")
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { // mosquitto drops root and still has to write its store
		t.Fatal(err)
	}
	b := &mosquitto{t: t, path: path, addr: freePort(t), config: filepath.Join(dir, "mosquitto.conf")}
	_, port, _ := net.SplitHostPort(b.addr)
	text := fmt.Sprintf(`listener %s 127.0.0.1
user root
persistence true
persistence_location %s/
autosave_interval 1
autosave_on_changes true
max_inflight_messages 1000
max_queued_messages 0
%s
`, port, dir, extra)
	if extra == "" {
		text += "allow_anonymous true\n"
	}
	if err := os.WriteFile(b.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b.start()
	return b
}

func (b *mosquitto) start() {
	b.t.Helper()
	b.run = start(b.t, "mosquitto", b.path, "-c", b.config)
	b.run.waitFor(" running", 30*time.Second) // said when all its listeners are open
}

// restart stops the broker politely, so that it saves its sessions, and starts it again after a while.
func (b *mosquitto) restart(away time.Duration) {
	b.t.Helper()
	b.run.stop(10 * time.Second)
	time.Sleep(away)
	b.start()
}
