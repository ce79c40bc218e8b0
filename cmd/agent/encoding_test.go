package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// archive is a receiver of batches that keeps every reading by its id.
type archive struct {
	mu       sync.Mutex
	messages int
	ids      map[string]int   // how often each came
	order    map[string][]int // numbers by topic, in the order of their first arrival
	damaged  []error
}

func (a *archive) take(topic string, payload []byte) {
	m, err := envelope.NewDecoder().Decode(payload)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.messages++
	if err != nil {
		a.damaged = append(a.damaged, err)
		return
	}
	for _, l := range m.Lines(topic) {
		n, err := strconv.Atoi(*l.Text)
		if err != nil {
			a.damaged = append(a.damaged, err)
		}
		if a.ids[l.ID]++; a.ids[l.ID] == 1 {
			a.order[*l.Topic] = append(a.order[*l.Topic], n)
		}
	}
}

func (a *archive) different() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ids)
}

// collect begins a session at the broker, which keeps what arrives; the returned function takes it up.
func (a *archive) collect(t *testing.T, addr, filter string) (takeUp func()) {
	t.Helper()
	connect := func() paho.Client {
		client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("archive").SetCleanSession(false).SetProtocolVersion(4).
			SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { a.take(m.Topic(), m.Payload()) }))
		mustToken(t, "archive connects", client.Connect())
		return client
	}
	first := connect()
	mustToken(t, "subscription", first.Subscribe(filter, 2, nil))
	first.Disconnect(100)
	return func() {
		client := connect()
		t.Cleanup(func() { client.Disconnect(100) })
	}
}

// slowRelay leads to addr, and lets bytes lie for a while on both ways, so that a kill finds packets under way.
func slowRelay(t *testing.T, addr string, delay time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	pass := func(to, from net.Conn) {
		defer to.Close()
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				time.Sleep(delay)
				if _, werr := to.Write(buf[:n]); werr != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	group.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			group.Go(func() { pass(far, near) })
			group.Go(func() { pass(near, far) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// TestBatchesExactlyOnceAcrossKills kills the agent again and again while batches at QoS 2 are under way to Mosquitto: each
// reading that was accepted arrives, with its id, once, and its topic's are in order.
func TestBatchesExactlyOnceAcrossKills(t *testing.T) {
	t.Parallel()
	broker := startMosquitto(t, "")
	a := &archive{ids: make(map[string]int), order: make(map[string][]int)}
	takeUp := a.collect(t, broker.addr, "pump-07/batch")
	s := newSite(t, fmt.Sprintf(`link: system
broker: {url: "mqtt://%s", qos: 2}
encoding:
  format: batch
  compress: deflate
  batch: {max_messages: 12, max_age: 200ms}
`, slowRelay(t, broker.addr, 30*time.Millisecond)))

	const perSender, senders, kills = 300, 3, 4
	var sending sync.WaitGroup
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	for i := range senders {
		sending.Go(func() { sendMQTT(t, s.mqtt, fmt.Sprintf("site/%d", i), 1, perSender, 5*time.Millisecond) })
	}
	for i := range kills {
		agent.waitFor(`"connected"`, 20*time.Second)
		time.Sleep(400*time.Millisecond + time.Duration(i)*17*time.Millisecond) // anywhere in the exchange of a packet
		agent.kill()
		if err := os.Remove(filepath.Join(s.data, "starts")); err != nil { // so many kills in a row make the agent wait before it dials
			t.Fatal(err)
		}
		agent = fieldpost(t, "agent after a kill", "run", "--config", s.conf)
	}
	sending.Wait()
	eventually(t, "the queue is empty", time.Minute, func() bool {
		out, _, code := call(t, "queue", "stats", "--json", "--config", s.conf)
		return code == exitOK && decode(t, out)["messages"] == float64(0)
	})
	out, _, _ := call(t, "status", "--json", "--config", s.conf)
	if format := decode(t, out)["encoding"].(map[string]any)["format"]; format != "batch" {
		t.Errorf("the status says that the encoding is %v, want batch", format)
	}
	takeUp()
	eventually(t, "every reading has arrived", 30*time.Second, func() bool { return a.different() >= perSender*senders })
	if code := agent.stop(10 * time.Second); code != exitOK {
		t.Errorf("SIGTERM: got exit code %d, want 0", code)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, times := range a.ids {
		if times > 1 {
			t.Errorf("reading %s arrived %d times", id, times)
		}
	}
	for topic, order := range a.order {
		order = slices.Compact(order) // a sensor repeats what was stored but not acknowledged to it, under another id
		if len(order) != perSender || !slices.IsSorted(order) {
			t.Errorf("%s: got %d readings in order %v, want %d", topic, len(order), order, perSender)
		}
	}
	if len(a.damaged) > 0 {
		t.Errorf("damaged: %v", a.damaged)
	}
	t.Logf("%d readings in %d messages", len(a.ids), a.messages)
	if a.messages*3 > len(a.ids) {
		t.Errorf("%d readings came in %d messages: they were not gathered", len(a.ids), a.messages)
	}
}
