package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFailoverAtQoS2 loses the first of two brokers in the middle of a delivery, kills the agent in the middle of the one to
// the second, then loses that and returns to the first, which still holds packet ids of messages that went to the second
// meanwhile. Everything arrives, and neither broker sees anything twice.
func TestFailoverAtQoS2(t *testing.T) {
	t.Parallel()
	first, second := startMosquitto(t, ""), startMosquitto(t, "")
	for _, b := range []*mosquitto{first, second} { // the brokers collect: a client of theirs would see repeats of its own at a restart
		_, client := listen(t, b.addr, "site/#")
		client.Disconnect(100)
	}
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: [\"mqtt://%s\", \"mqtt://%s\"], qos: 2}\n", first.addr, second.addr))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"broker":"mqtt://`+first.addr+`"`, 20*time.Second)

	const perSender, senders = 400, 3
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() { sendMQTT(t, s.mqtt, fmt.Sprintf("site/%d", i), 1, perSender, 4*time.Millisecond) })
	}
	delivered := func(atLeast float64) {
		t.Helper()
		eventually(t, fmt.Sprintf("the agent has delivered %v readings", atLeast), time.Minute, func() bool {
			stdout, _, _ := call(t, "status", "--json", "--config", s.conf)
			return decode(t, stdout)["delivery"].(map[string]any)["delivered"].(float64) >= atLeast
		})
	}
	// reconnected presses the agent until it has a session with the broker.
	reconnected := func(with *mosquitto) {
		t.Helper()
		eventually(t, "the agent is connected to "+with.addr, time.Minute, func() bool {
			stdout, _, code := call(t, "status", "--json", "--config", s.conf)
			if code != exitOK && code != exitFailed {
				return false
			}
			link := decode(t, stdout)["link"].(map[string]any)
			if link["connected"] == true && link["broker"] == "mqtt://"+with.addr {
				return true
			}
			if link["connected"] == false {
				call(t, "reconnect", "--config", s.conf)
			}
			time.Sleep(100 * time.Millisecond)
			return false
		})
	}

	delivered(100)
	first.run.stop(10 * time.Second)
	reconnected(second)
	delivered(250)
	agent.kill()
	agent = fieldpost(t, "agent after the kill", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, 20*time.Second)
	if text := agent.text(); strings.Contains(text, "link is down") || !strings.Contains(text, `"broker":"mqtt://`+second.addr+`"`) {
		t.Error("the agent didn't begin with the broker that works")
	}
	delivered(150) // since its new start
	first.start()
	second.run.stop(10 * time.Second)
	reconnected(first)
	sending.Wait()
	eventually(t, "the queue is empty", time.Minute, func() bool {
		out, _, code := call(t, "queue", "stats", "--json", "--config", s.conf)
		return code == exitOK && decode(t, out)["messages"] == float64(0)
	})
	second.start()
	checkBrokers(t, []*ledger{subscribe(t, first.addr, "site/#"), subscribe(t, second.addr, "site/#")}, senders, perSender)
	if code := agent.stop(10 * time.Second); code != exitOK {
		t.Errorf("SIGTERM: got exit code %d, want 0", code)
	}
	if _, stderr, code := call(t, "reconnect", "--config", s.conf); code != exitUnreachable {
		t.Errorf("reconnect without an agent: got exit code %d, want %d: %s", code, exitUnreachable, stderr)
	}
	if files, _ := filepath.Glob(filepath.Join(s.data, "*.damaged")); len(files) > 0 {
		t.Errorf("damaged: %v", files)
	}
}

// checkBrokers wants each reading at one broker at least, and at none twice. A sensor repeats what was stored but not yet
// acknowledged to it when the agent was killed, one reading each.
func checkBrokers(t *testing.T, clouds []*ledger, senders, perSender int) {
	t.Helper()
	missing := func() (n int) {
		for i := range senders {
			for reading := 1; reading <= perSender; reading++ {
				found := false
				for _, c := range clouds {
					c.mu.Lock()
					found = found || c.seen[fmt.Sprintf("site/%d", i)][reading] > 0
					c.mu.Unlock()
				}
				if !found {
					n++
				}
			}
		}
		return n
	}
	eventually(t, "every accepted reading has arrived", 20*time.Second, func() bool { return missing() == 0 })
	repeats, both := 0, -senders*perSender
	for _, c := range clouds {
		c.mu.Lock()
		for _, topic := range c.seen {
			both += len(topic)
			for _, times := range topic {
				repeats += times - 1
			}
		}
		c.mu.Unlock()
	}
	t.Logf("%d repeats at a broker, %d readings at both brokers", repeats, both)
	if repeats > senders {
		t.Errorf("got %d repeats, want at most the %d of the sensors", repeats, senders)
	}
}
