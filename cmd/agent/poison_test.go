package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestPoisonAtMosquitto has a message that is too large for the broker, which ends the connection at it, between others. The others
// arrive, it is set aside, and the cloud is told.
func TestPoisonAtMosquitto(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "allow_anonymous true\nmax_packet_size 600\n")
	cloud := subscribe(t, broker.addr, "site/#")
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://"+broker.addr+"\", poison_after: 2}\n")
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, 20*time.Second)
	send := func(topic, payload string) {
		t.Helper()
		if _, stderr, code := call(t, "send", "--config", s.conf, topic, payload); code != exitOK {
			t.Fatalf("send: exit code %d: %s", code, stderr)
		}
	}
	send("site/pump", "1")
	send("site/large", strings.Repeat("9", 1000))
	sent := 1
	// press sends another reading while the agent is connected, and makes it connect while it isn't: there are minutes of waiting else.
	press := func() {
		stdout, _, _ := call(t, "status", "--json", "--config", s.conf)
		if decode(t, stdout)["link"].(map[string]any)["connected"] != true {
			call(t, "reconnect", "--config", s.conf)
		} else if !strings.Contains(agent.text(), "is set aside") {
			sent++
			send("site/pump", fmt.Sprint(sent))
		}
		time.Sleep(200 * time.Millisecond)
	}
	eventually(t, "the message is set aside", time.Minute, func() bool {
		press()
		return strings.Contains(agent.text(), "is set aside")
	})
	eventually(t, "the others arrive", time.Minute, func() bool {
		press()
		return cloud.different() == sent
	})
	eventually(t, "it is counted as poison", 10*time.Second, func() bool {
		out, _, _ := call(t, "status", "--json", "--config", s.conf)
		return decode(t, out)["queue"].(map[string]any)["dropped"].(map[string]any)["poison"] == float64(1)
	})
	if !strings.Contains(agent.text(), `"topic":"site/large"`) {
		t.Error("the log doesn't name the topic")
	}
}
