package main

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestDamagedSerialLine: on a serial line that loses, doubles and flips bytes in both directions, between the checksums of TCP and
// the agent, TLS sees to it that a reading arrives as it was sent, or not yet.
func TestDamagedSerialLine(t *testing.T) {
	t.Parallel()
	const least, most = 60, 1000
	authority := newAuthority(t, "ours")
	plain := freePort(t)
	_, plainPort, _ := net.SplitHostPort(plain)
	broker := startMosquitto(t, authority.server()+"listener "+plainPort+" 127.0.0.1\n")
	reading := func(n int) string {
		text := fmt.Sprintf("reading %d ", n)
		return text + fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	}
	var mu sync.Mutex
	got := make(map[string]int)
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + plain).SetClientID("cloud-application").SetProtocolVersion(4).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			mu.Lock()
			defer mu.Unlock()
			got[m.Topic()+" "+string(m.Payload())]++
		}))
	mustToken(t, "subscriber connects", client.Connect())
	defer client.Disconnect(100)
	mustToken(t, "subscription", client.Subscribe("#", 1, nil))

	module, port := simulated(t, gsmsim.Config{Seed: 5})
	s := newSite(t, fmt.Sprintf("modem: {port: %s, apn: internet.example}\nbroker: {url: \"mqtts://%s\", ca_file: %s}\npresence: {topic: \"off\"}\n", port, broker.addr, authority.file))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)
	module.SetFaults(gsmsim.Faults{LoseByte: 0.0001, DoubleByte: 0.0001, FlipByte: 0.0001})
	readings := 0
	broken := func() bool { return strings.Contains(agent.text(), "link is down") }
	for ; readings < least || !broken() && readings < most; readings++ {
		resp, err := http.Post("http://"+s.http+"/v1/messages/site/a", "text/plain", strings.NewReader(reading(readings)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("reading %d: %s", readings, resp.Status)
		}
		time.Sleep(100 * time.Millisecond) // so that the damage meets many sends, and not one
	}
	if !broken() {
		t.Errorf("%d readings, and no connection has ended: the test shows nothing", readings)
	}
	module.SetFaults(gsmsim.Faults{})
	eventually(t, "every reading arrives", 3*time.Minute, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= readings
	})
	mu.Lock()
	defer mu.Unlock()
	for n := range readings {
		delete(got, "site/a "+reading(n))
	}
	for text := range got {
		t.Errorf("the broker delivered %q, which nobody sent", text)
	}
	t.Logf("%d dials over a damaged line", strings.Count(agent.text(), `"connected"`))
}
