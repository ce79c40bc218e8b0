package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// limited starts an agent under limits of the shell's ulimit, such as "-n 40".
func limited(t *testing.T, s site, limits string) *program {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "agent", "sh", "-c", "ulimit "+limits+` && exec "$0" run --config "$1"`, path, s.conf)
}

// TestFH7_NoFileDescriptorsLeft takes every descriptor that the agent may have, by connections that say nothing. What stands is
// served, the queue works, and newcomers are served once there is room.
func TestFH7_NoFileDescriptorsLeft(t *testing.T) {
	t.Parallel()
	const descriptors = 40
	s := newSite(t, unreachable)
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.conf, strings.Replace(string(conf), "mqtt: {listen: "+s.mqtt, "mqtt: {max_clients: 200, listen: "+s.mqtt, 1))
	agent := limited(t, s, fmt.Sprint("-n ", descriptors))
	eventually(t, "a reading is accepted", 20*time.Second, func() bool { return post(t, s, "site/first", "1") == http.StatusAccepted })
	standing := login(t, s.mqtt, "sensor")
	standing.publish(1, "site/before", "1")

	var silent []net.Conn
	for range 2 * descriptors { // beyond the limit they wait in the kernel, unaccepted
		c, err := net.DialTimeout("tcp", s.mqtt, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	agent.waitFor("too many open files", 20*time.Second)
	standing.publish(2, "site/meanwhile", "1")

	for _, c := range silent {
		c.Close()
	}
	eventually(t, "newcomers are served", 30*time.Second, func() bool { return post(t, s, "site/after", "1") == http.StatusAccepted })
	login(t, s.mqtt, "newcomer").publish(1, "site/after", "2")
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: got exit code %d", code)
	}
	if got := topics(t, s); got["site/before"] != 1 || got["site/meanwhile"] != 1 || got["site/after"] != 2 {
		t.Errorf("in the queue are %v, want all that was accepted", got)
	}
}

// TestFH8_FC4_StoppedAndContinued stops the process as a debugger or a sleeping machine does; meanwhile the broker ends the
// connection and starts anew, and the sim goes on.
func TestFH8_FC4_StoppedAndContinued(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	cloud := subscribe(t, broker.addr, "site/#")
	_, port := simulated(t, gsmsim.Config{Seed: 8})
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: internet.example}\nbroker: {url: \"mqtt://%s\", qos: 2}\n", port, broker.addr))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)
	for n := range 20 {
		if got := post(t, s, "site/a", fmt.Sprint(n+1)); got != http.StatusAccepted {
			t.Fatalf("reading %d: got %d", n+1, got)
		}
	}
	if err := agent.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // in the middle of the delivery
		t.Fatal(err)
	}
	broker.restart(time.Second)
	if err := agent.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if got := post(t, s, "site/a", fmt.Sprint(n+21)); got != http.StatusAccepted {
			t.Fatalf("reading %d: got %d", n+21, got)
		}
	}
	agent.waitFor("link is down", time.Minute)
	good(t, "reconnect", "--config", s.conf)
	eventually(t, "every reading arrives", time.Minute, func() bool { return cloud.different() >= 25 })
	checkLedger(t, cloud, 25, 0)
}

// TestFL1_FL2_UnpluggedAndBackUnderAnotherName: the adapter leaves in the middle of a delivery, and another device node stands
// behind the name that stays.
func TestFL1_FL2_UnpluggedAndBackUnderAnotherName(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	cloud := subscribe(t, broker.addr, "site/#")
	dir := t.TempDir()
	name, nodes := filepath.Join(dir, "modem"), []string{filepath.Join(dir, "one"), filepath.Join(dir, "two")}
	var sims []*program
	for _, node := range nodes { // both stand at once, so the second has a number of its own
		sim := fieldpost(t, "sim", "sim", "--pty", node)
		sim.waitFor(node, 20*time.Second)
		sims = append(sims, sim)
	}
	plug := func(node string) {
		t.Helper()
		target, err := os.Readlink(node)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	plug(nodes[0])
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: CMNET}\nbroker: {url: \"mqtt://%s\", qos: 2}\n", name, broker.addr))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)
	for n := range 10 {
		if got := post(t, s, "site/a", fmt.Sprint(n+1)); got != http.StatusAccepted {
			t.Fatalf("reading %d: got %d", n+1, got)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	sims[0].kill()
	agent.waitFor("link is down", 20*time.Second)
	eventually(t, "the status names the port", 30*time.Second, func() bool {
		out, _, _ := call(t, "status", "--config", s.conf)
		return strings.Contains(out, "x port")
	})
	for n := range 10 {
		if got := post(t, s, "site/a", fmt.Sprint(n+11)); got != http.StatusAccepted {
			t.Fatalf("reading %d, unplugged: got %d", n+11, got)
		}
	}
	plug(nodes[1])
	good(t, "reconnect", "--config", s.conf)
	eventually(t, "every reading arrives", 2*time.Minute, func() bool { return cloud.different() >= 20 })
	checkLedger(t, cloud, 20, 0)
}

// TestFH12_FD6_SlowDisk delays every flush by seconds: answers wait for it, the session and the commands don't, and the watchdog of
// the service manager is not fed meanwhile.
func TestFH12_FD6_SlowDisk(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is not installed: scripts/test installs it")
	}
	broker := startMosquitto(t, "")
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtt://%s\"}\n", broker.addr))
	notices, err := net.ListenPacket("unixgram", filepath.Join(t.TempDir(), "notify"))
	if err != nil {
		t.Fatal(err)
	}
	defer notices.Close()
	fed := func(within time.Duration) bool {
		buf := make([]byte, 4096)
		for deadline := time.Now().Add(within); ; {
			notices.SetReadDeadline(deadline)
			n, _, err := notices.ReadFrom(buf)
			if err != nil {
				return false
			}
			if strings.Contains(string(buf[:n]), "WATCHDOG=1") {
				return true
			}
		}
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	agent := start(t, "agent", "env", "NOTIFY_SOCKET="+notices.LocalAddr().String(), "WATCHDOG_USEC=600000", path, "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)
	if !fed(20 * time.Second) {
		t.Fatal("the watchdog is not fed though all is well")
	}

	const delay = 5 * time.Second
	injector := start(t, "strace", strace, "-f", "-e", "trace=fsync,fdatasync", "-e",
		fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", delay.Microseconds()), "-p", fmt.Sprint(agent.cmd.Process.Pid))
	injector.waitFor("attached", 20*time.Second)
	begun := time.Now()
	answered := make(chan int)
	go func() { answered <- post(t, s, "site/slow", "1") }()
	time.Sleep(500 * time.Millisecond)
	for fed(time.Millisecond) { // what was said before the flush
	}
	if fed(2 * time.Second) {
		t.Error("the watchdog is fed while the storage stands still")
	}
	if out, _, code := call(t, "status", "--config", s.conf); code != 0 || time.Since(begun) > delay {
		t.Errorf("status after %v: code %d, want an answer beside the flush, and a session\n%s", time.Since(begun), code, out)
	}
	select {
	case got := <-answered:
		if took := time.Since(begun); got != http.StatusAccepted || took < delay {
			t.Errorf("got %d after %v, want %d, and not before the flush has ended", got, took, http.StatusAccepted)
		}
	case <-time.After(time.Minute):
		t.Error("the reading was never answered")
	}
	injector.stop(20 * time.Second)
	if !fed(20 * time.Second) {
		t.Error("the watchdog is not fed any more though the disk is well again")
	}
	if got := post(t, s, "site/after", "1"); got != http.StatusAccepted {
		t.Errorf("afterwards: got %d", got)
	}
	if strings.Contains(agent.text(), "link is down") {
		t.Error("the session has ended")
	}
}

// TestFD10_FilesOfTheAgent: what an agent writes is in its data folder, by names that the manual knows, and for its owner alone, whatever
// the umask.
func TestFD10_FilesOfTheAgent(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	broker := startMosquitto(t, "")
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtt://%s\"}\n", broker.addr))
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	agent := start(t, "agent", "sh", "-c", `umask 0 && cd "$2" && exec "$0" run --config "$1"`, path, s.conf, empty)
	agent.waitFor(`"connected"`, time.Minute)
	if got := post(t, s, "site/a", "1"); got != http.StatusAccepted {
		t.Fatalf("got %d", got)
	}
	private := func() {
		t.Helper()
		entries, err := os.ReadDir(s.data)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(s.data); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the folder: %v, %v, want 0700", info.Mode(), err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: mode %v, want nothing for others", e.Name(), info.Mode())
			}
			if !strings.Contains(string(manual), "`"+e.Name()+"`") {
				t.Errorf("%s: docs/operations.md doesn't know it", e.Name())
			}
		}
		if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "queue.db" }) {
			t.Errorf("got %v, want the queue among them", entries)
		}
	}
	private()
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: got exit code %d", code)
	}
	private()
	if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
		t.Errorf("in the working folder are %v, %v, want nothing", entries, err)
	}
}
