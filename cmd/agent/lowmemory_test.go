package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// memoryOf is a figure of /proc/PID/status, in bytes: VmHWM is the most that the process has had in memory, VmData what is mapped for it
// to write to.
func memoryOf(t *testing.T, p *program, field string) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), field+":"); ok {
			kib, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc", field)
	return 0
}

// allowMore has the kernel refuse the program memory beyond what it has now and so many bytes. No absolute limit would say much: of what
// Go's runtime maps at its start it uses a small part, but all of it counts.
func allowMore(t *testing.T, p *program, bytes int) {
	t.Helper()
	limit := uint64(memoryOf(t, p, "VmData") + bytes)
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
}

// TestFH6_OutOfMemory: one start after the other ends for lack of memory, in the middle of taking readings in. What was accepted is in
// the queue, and the broker hears no more of it than of any other loop of starts.
func TestFH6_OutOfMemory(t *testing.T) {
	t.Parallel()
	const starts, sensors = freeStarts + 2, 30
	broker, dials := uselessBroker(t)
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtt://%s\"}\n", broker))
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.conf, strings.Replace(string(conf), "max_payload: 1KiB", "max_payload: 64KiB", 1))
	payload := strings.Repeat("1", 64000)
	var accepted [starts]int
	for n := range starts {
		agent := fieldpost(t, fmt.Sprint("start ", n+1), "run", "--config", s.conf)
		if n < freeStarts {
			agent.waitFor("link is down", 20*time.Second)
		} else {
			agent.waitFor("waits before it dials", 20*time.Second)
		}
		eventually(t, "a reading is accepted", 20*time.Second, func() bool { return post(t, s, "site/first", "1") == http.StatusAccepted })
		accepted[n] = overload(t, s, fmt.Sprint("site/", n), payload, sensors, agent)
		if code := agent.wait(time.Second); code != 2 || !strings.Contains(agent.text(), "memory") {
			t.Errorf("start %d: exit code %d, want 2, for lack of memory:\n%s", n+1, code, tail(agent.text(), 2000))
		}
		if got := dials.Load(); got > freeStarts {
			t.Errorf("%d dials in %d starts, want %d at most", got, n+1, freeStarts)
		}
	}
	t.Logf("accepted by the starts: %v", accepted)
	stored := topics(t, s)
	for n, want := range accepted {
		// One more of each sensor may be on disk, whose answer the end has cut off.
		if got := stored[fmt.Sprint("site/", n)]; got < want || got > want+sensors {
			t.Errorf("start %d: %d are in the queue, %d were accepted", n+1, got, want)
		}
	}
	if got := stored["site/first"]; got != starts {
		t.Errorf("%d first readings are in the queue, want %d", got, starts)
	}
}

// overload publishes until the agent ends, since its memory may grow by no more than for some of the readings, and returns how many were
// accepted.
func overload(t *testing.T, s site, topic, payload string, sensors int, agent *program) int {
	t.Helper()
	var group sync.WaitGroup
	var accepted atomic.Int64
	var clients []*local
	for i := range sensors {
		clients = append(clients, login(t, s.mqtt, fmt.Sprint("sensor", i)))
	}
	clients[0].publish(1, topic, payload)
	accepted.Add(1)
	allowMore(t, agent, 4<<20)
	for _, sensor := range clients {
		group.Go(func() {
			for id := uint16(2); sensor.try(id, topic, payload) == nil; id++ {
				accepted.Add(1)
			}
		})
	}
	select {
	case <-agent.exited:
	case <-time.After(time.Minute):
		agent.kill()
		t.Error("the agent bears more than it has memory for: the test proves nothing")
	}
	group.Wait()
	return int(accepted.Load())
}
