package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestKillsAndStops kills the agent, or stops it for a moment, again and again while it delivers to Mosquitto through the simulated
// module: every reading that a sensor was told is accepted arrives, in order, and at QoS 2 once.
func TestKillsAndStops(t *testing.T) {
	if os.Getenv("FIELDPOST_SOAK") == "" {
		t.Skip("takes two minutes: FIELDPOST_SOAK=1 runs it; TestNothingAcceptedIsLost and TestFH8 are its short forms")
	}
	t.Parallel()
	broker := startMosquitto(t, "")
	cloud := subscribe(t, broker.addr, "site/#")
	_, port := simulated(t, gsmsim.Config{Seed: 9})
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: internet.example}\nbroker: {url: \"mqtt://%s\", qos: 2}\n", port, broker.addr))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)

	const senders, each = 3, 400
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() { sendMQTT(t, s.mqtt, fmt.Sprint("site/", i), 1, each, 100*time.Millisecond) })
	}
	sent := make(chan struct{})
	go func() { sending.Wait(); close(sent) }()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	kills, stops := 0, 0
	for going := true; going; {
		select {
		case <-sent:
			going = false
			continue
		case <-time.After(time.Duration(r.IntN(3000)) * time.Millisecond):
		}
		if r.IntN(2) == 0 {
			kills++
			agent.kill()
			_ = os.Remove(filepath.Join(s.data, "starts")) // so many kills in a row make the agent wait before it dials
			agent = fieldpost(t, fmt.Sprint("agent after kill ", kills), "run", "--config", s.conf)
			continue
		}
		stops++
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := agent.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		}
	}
	eventually(t, "every reading arrives", 3*time.Minute, func() bool { return cloud.different() >= senders*each })
	t.Logf("%d kills and %d stops, seed %d", kills, stops, seed)
	if kills < 5 || stops < 5 {
		t.Errorf("only %d kills and %d stops", kills, stops)
	}
	checkLedger(t, cloud, each, senders*(kills+stops)) // what was stored, but not yet acknowledged, a sensor sends again
}

// TestWritesFailUnderTheAgent lets every write of the agent to its files fail: nothing is accepted meanwhile, and afterwards all that was
// accepted is there.
func TestWritesFailUnderTheAgent(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is not installed: scripts/test installs it")
	}
	for fault, ends := range map[string]bool{"EIO": true, "ENOSPC": false} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, unreachable)
			agent := ready(t, s)
			injector := start(t, "strace", strace, "-f", "-e", "trace=pwrite64", "-e", "inject=pwrite64:error="+fault, "-p", fmt.Sprint(agent.cmd.Process.Pid))
			injector.waitFor("attached", 20*time.Second)
			for range 3 {
				if got := post(t, s, "site/lost", "1"); got == http.StatusAccepted {
					t.Error("a reading was accepted that could not be written")
				}
			}
			injector.stop(10 * time.Second)
			if ends { // the third failure in a row is one of the storage, which the next start has to look at
				if code := agent.wait(20 * time.Second); code != exitTemporary {
					t.Errorf("got exit code %d, want %d", code, exitTemporary)
				}
				agent = ready(t, s)
			}
			eventually(t, "a reading is accepted", 30*time.Second, func() bool { return post(t, s, "site/after", "1") == http.StatusAccepted })
			if code := agent.stop(10 * time.Second); code != 0 {
				t.Errorf("SIGTERM: exit code %d", code)
			}
			if got := topics(t, s); got["site/first"] == 0 || got["site/after"] != 1 || got["site/lost"] != 0 {
				t.Errorf("in the queue are %v, want what was accepted", got)
			}
		})
	}
}
