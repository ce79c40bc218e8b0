package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// post hands a reading to a site's HTTP source and returns the status.
func post(t *testing.T, s site, topic, payload string) int {
	t.Helper()
	resp, err := http.Post("http://"+s.http+"/v1/messages/"+topic, "text/plain", strings.NewReader(payload))
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// ready starts an agent and waits until it takes readings in; the first one is accepted then.
func ready(t *testing.T, s site) *program {
	t.Helper()
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	eventually(t, "a reading is accepted", 20*time.Second, func() bool { return post(t, s, "site/first", "1") == http.StatusAccepted })
	return agent
}

func topics(t *testing.T, s site) map[string]int {
	t.Helper()
	got := make(map[string]int)
	for line := range strings.Lines(good(t, "queue", "export", "--config", s.conf)) {
		got[decode(t, line)["topic"].(string)]++
	}
	return got
}

// After a flush that failed nothing is acknowledged: the agent ends, and its next start has the file verified.
func TestFlushFailsUnderTheAgent(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is not installed: scripts/test installs it")
	}
	s := newSite(t, unreachable)
	agent := ready(t, s)
	injector := start(t, "strace", strace, "-f", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO",
		"-p", fmt.Sprint(agent.cmd.Process.Pid))
	injector.waitFor("attached", 20*time.Second)
	for range 3 {
		if got := post(t, s, "site/lost", "1"); got == http.StatusAccepted {
			t.Error("a reading was accepted that could not be flushed")
		}
	}
	if code := agent.wait(20 * time.Second); code != exitTemporary {
		t.Errorf("got exit code %d, want %d", code, exitTemporary)
	}
	says(t, agent.text(), "storage failed", "flush", "input/output error", "queue.db", "start again")

	agent = ready(t, s)
	agent.waitFor("checking the queue's file", time.Second)
	agent.waitFor(`"whole":true`, time.Second)
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	if got := topics(t, s); got["site/first"] != 2 {
		t.Errorf("got %v, want both readings that were accepted", got)
	}
}

// flip changes a byte within the first n records that hold the text, and returns how many it found.
func flip(t *testing.T, file, text string, n int) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at := 0; found < n; found++ {
		next := strings.Index(string(content[at:]), text)
		if next < 0 {
			break
		}
		at += next + len(text)
		content[at-1] ^= 0x20
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDamagedQueueFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	agent := ready(t, s)
	for i := range 50 {
		if got := post(t, s, "site/reading", fmt.Sprintf("reading %03d", i)); got != http.StatusAccepted {
			t.Fatalf("reading %d: got %d", i, got)
		}
	}
	agent.kill()
	if got := flip(t, filepath.Join(s.data, "queue.db"), "reading 01", 1000); got < 10 {
		t.Fatalf("found %d records to spoil, want at least 10", got)
	}

	agent = ready(t, s)
	says(t, agent.text(), "checking the queue's file", `"whole":false`, "the queue's file was damaged", `"saved":41`, `"lost":10`)
	asides, err := filepath.Glob(filepath.Join(s.data, "queue.db.damaged-*"))
	if err != nil || len(asides) != 1 {
		t.Fatalf("set aside are %v, %v, want one file", asides, err)
	}
	if info, err := os.Stat(asides[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the damaged file: %v, %v, want 0600", info.Mode(), err)
	}
	status, _, _ := call(t, "status", "--json", "--config", s.conf)
	recovery, ok := decode(t, status)["queue"].(map[string]any)["recovery"].(map[string]any)
	if !ok || recovery["saved"] != 41.0 || recovery["lost"] != 10.0 || recovery["set_aside"] != asides[0] {
		t.Errorf("status: got %v, want 41 saved, 10 lost, and %s", recovery, asides[0])
	}
	status, _, _ = call(t, "status", "--config", s.conf)
	says(t, status, "damaged", "41 saved, 10 lost", filepath.Base(asides[0]))
	if got := topics(t, s); got["site/reading"] != 40 || got["site/first"] != 2 {
		t.Errorf("in the queue are %v, want the 41 that were saved and the new one", got)
	}
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}
	ready(t, s) // no boot loop
	if again, _ := filepath.Glob(filepath.Join(s.data, "queue.db.damaged-*")); len(again) != 1 {
		t.Errorf("after another start %v are set aside, want still one", again)
	}
}

// A file that is no queue any more at all doesn't keep the agent from its work.
func TestZeroedQueueFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	ready(t, s).kill()
	if err := os.WriteFile(filepath.Join(s.data, "queue.db"), make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	says(t, ready(t, s).text(), "the queue's file was damaged", `"saved":0`)
}

// The check runs in a child, and what a child can't do says nothing about the file.
func TestVerifyInAChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Put(t.Context(), queue.Message{Topic: "t", Payload: []byte("reading 01")}); err != nil {
		t.Fatal(err)
	}
	q.Close()
	if err := verifyQueue(t.Context(), path); err != nil {
		t.Errorf("a whole file: %v", err)
	}
	flip(t, path, "reading 01", 1000) // pages of before the last commit hold it too
	var ended *exec.ExitError
	if err := verifyQueue(t.Context(), path); !errors.As(err, &ended) || !strings.Contains(err.Error(), "sequence 1") {
		t.Errorf("a damaged file: got %v, want the child's exit code and words", err)
	}
}

// A disk that others have filled: every source is told no, and all goes on by itself once there is room.
func TestDiskFilledUnderTheAgent(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, "mode=0700,size=4m"); err != nil {
		t.Skipf("mounting a small file system: %v; this test needs root and the right to mount", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(s.data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ready(t, s)
	others := fillDisk(t, s.data)
	refused := 0
	eventually(t, "the disk is full", 20*time.Second, func() bool { // what the file has free already can be used
		refused = post(t, s, "site/full", strings.Repeat("x", 1000))
		return refused != http.StatusAccepted
	})
	if refused != http.StatusInsufficientStorage {
		t.Errorf("HTTP: got %d, want %d", refused, http.StatusInsufficientStorage)
	}
	if published(t, s, "site/mqtt", 3*time.Second) {
		t.Error("MQTT: the reading was acknowledged")
	}
	says(t, bad(t, exitTemporary, "send", "--config", s.conf, "site/send", strings.Repeat("x", 1000)), "no space left")
	before := decode(t, good(t, "queue", "stats", "--json", "--config", s.conf))
	if before["error"] != "" {
		t.Errorf("a full disk is no failure of the storage: %v", before["error"])
	}

	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	eventually(t, "readings are accepted again", 20*time.Second, func() bool { return post(t, s, "site/again", "1") == http.StatusAccepted })
	if !published(t, s, "site/mqtt-again", 20*time.Second) {
		t.Error("MQTT: no reading is acknowledged though there is room again")
	}
	got := topics(t, s)
	if got["site/first"] != 1 || got["site/again"] != 1 || got["site/mqtt-again"] != 1 || got["site/mqtt"] > 1 {
		t.Errorf("in the queue are %v", got)
	}
}

// fillDisk writes a file until there is no room left.
func fillDisk(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "others"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return f.Name()
}

// published publishes a large reading at QoS 1 to a site's MQTT source, and reports whether it was acknowledged.
func published(t *testing.T, s site, topic string, within time.Duration) bool {
	t.Helper()
	host, port, _ := strings.Cut(s.mqtt, ":")
	p := start(t, "mosquitto_pub", "mosquitto_pub", "-h", host, "-p", port, "-q", "1", "-t", topic, "-m", strings.Repeat("x", 1000))
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode() == 0
	case <-time.After(within):
		p.kill()
		return false
	}
}
