package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// ledger is what the far end of the journey has seen, per topic.
type ledger struct {
	mu    sync.Mutex
	order map[string][]int // numbers in the order of their first arrival
	seen  map[string]map[int]int
	total int
}

func (l *ledger) note(topic string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[topic] == nil {
		l.seen[topic] = make(map[int]int)
	}
	l.seen[topic][n]++
	if l.seen[topic][n] == 1 {
		l.order[topic] = append(l.order[topic], n)
		l.total++
	}
}

func (l *ledger) different() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// subscribe listens at the broker as a cloud application would, through restarts of the broker.
func subscribe(t *testing.T, addr, filter string) *ledger {
	t.Helper()
	l, client := listen(t, addr, filter)
	t.Cleanup(func() { client.Disconnect(100) })
	return l
}

// listen is subscribe for a test that wants to go away and leave what arrives meanwhile to the broker.
func listen(t *testing.T, addr, filter string) (*ledger, paho.Client) {
	t.Helper()
	l := &ledger{order: make(map[string][]int), seen: make(map[string]map[int]int)}
	opts := paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("cloud-application").SetCleanSession(false).
		SetProtocolVersion(4).SetMaxReconnectInterval(time.Second).SetConnectRetryInterval(500 * time.Millisecond).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			n, err := strconv.Atoi(string(m.Payload()))
			if err != nil {
				t.Errorf("the broker delivered %q on %s, which nobody sent", m.Payload(), m.Topic())
				return
			}
			l.note(m.Topic(), n)
		})
	client := paho.NewClient(opts)
	mustToken(t, "subscriber connects", client.Connect())
	mustToken(t, "subscription", client.Subscribe(filter, 2, nil))
	return l, client
}

func mustToken(t *testing.T, what string, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatalf("%s: %v", what, token.Error())
	}
}

// sendMQTT publishes numbers as a sensor would: a reading that has no PUBACK is published again, over a new connection
// if need be.
func sendMQTT(t *testing.T, addr, topic string, from, to int, pause time.Duration) {
	var client paho.Client
	defer func() {
		if client != nil {
			client.Disconnect(100)
		}
	}()
	deadline := time.Now().Add(3 * time.Minute)
	for n := from; n <= to; {
		if time.Now().After(deadline) {
			t.Errorf("%s: reading %d was not accepted", topic, n)
			return
		}
		if client == nil || !client.IsConnectionOpen() {
			client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("sensor-" + topic).
				SetProtocolVersion(4).SetAutoReconnect(false))
			if token := client.Connect(); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
				time.Sleep(200 * time.Millisecond)
				continue
			}
		}
		token := client.Publish(topic, 1, false, strconv.Itoa(n))
		if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
			client.Disconnect(0)
			continue
		}
		n++
		time.Sleep(pause)
	}
}

// sendHTTP posts numbers; only a 202 counts.
func sendHTTP(t *testing.T, addr, topic string, from, to int, pause time.Duration) {
	client := &http.Client{Timeout: 5 * time.Second}
	deadline := time.Now().Add(3 * time.Minute)
	for n := from; n <= to; {
		if time.Now().After(deadline) {
			t.Errorf("%s: reading %d was not accepted", topic, n)
			return
		}
		resp, err := client.Post("http://"+addr+"/v1/messages/"+topic, "text/plain", strings.NewReader(strconv.Itoa(n)))
		if err != nil {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			time.Sleep(200 * time.Millisecond)
			continue
		}
		n++
		time.Sleep(pause)
	}
}

// TestNothingAcceptedIsLost runs the built binary against the simulated module on a pty and a real broker, through a loss
// of coverage, a restart of the broker and two kill -9 of the agent.
func TestNothingAcceptedIsLost(t *testing.T) {
	t.Parallel()
	// At QoS 1 a break repeats what was in flight, at most a window of 96 messages, and there are four. At QoS 2 only the sensors repeat: at each kill, what was stored but
	// not yet acknowledged to them.
	for qos, repeats := range map[int]int{1: 4 * 96, 2: 8} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			t.Parallel()
			nothingAcceptedIsLost(t, qos, repeats)
		})
	}
}

func nothingAcceptedIsLost(t *testing.T, qos, repeats int) {
	dir := t.TempDir()
	broker := startMosquitto(t, "")
	cloud := subscribe(t, broker.addr, "site/#")
	archive := newBrokerArchive(t, broker.addr, "site/#")

	pty := filepath.Join(dir, "modem")
	sim := fieldpost(t, "sim", "sim", "--pty", pty)
	sim.waitFor(pty, 20*time.Second)

	mqttAddr, httpAddr := freePort(t), freePort(t)
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(`
device: pump-07
data_dir: %s
link: modem
modem: {port: %s, apn: CMNET}
broker: {url: "mqtt://%s", qos: %d}
sources:
  mqtt: {listen: %s}
  http: {listen: %s}
web: {listen: ""}
log: {level: debug, format: json}
`, filepath.Join(dir, "data"), pty, broker.addr, qos, mqttAddr, httpAddr))
	agent := fieldpost(t, "agent", "run", "--config", conf)
	agent.waitFor(`"connected"`, time.Minute)

	const perSender = 125
	var senders sync.WaitGroup
	for i := range 2 {
		senders.Go(func() { sendMQTT(t, mqttAddr, fmt.Sprintf("site/mqtt/%d", i), 1, perSender, 150*time.Millisecond) })
		senders.Go(func() { sendHTTP(t, httpAddr, fmt.Sprintf("site/http/%d", i), 1, perSender, 150*time.Millisecond) })
	}

	eventually(t, "the first readings arrive", time.Minute, func() bool { return cloud.different() >= 20 })
	agent.kill()
	agent = fieldpost(t, "agent after the first kill", "run", "--config", conf)

	eventually(t, "readings arrive after the first kill", time.Minute, func() bool { return cloud.different() >= 100 })
	sim.say("coverage off")
	time.Sleep(8 * time.Second)
	agent.kill()
	agent = fieldpost(t, "agent after the second kill", "run", "--config", conf)
	time.Sleep(4 * time.Second)
	sim.say("coverage on")

	eventually(t, "readings arrive after the loss of coverage", 2*time.Minute, func() bool { return cloud.different() >= 250 })
	broker.restart(2 * time.Second)

	senders.Wait()
	eventually(t, "every accepted reading arrives", 3*time.Minute, func() bool { return cloud.different() >= 4*perSender })
	checkLedger(t, archive.fetch(), perSender, repeats)

	eventually(t, "the queue is empty", time.Minute, func() bool {
		out, _, code := call(t, "queue", "stats", "--json", "--config", conf)
		return code == 0 && decode(t, out)["messages"] == float64(0)
	})
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: got exit code %d, want 0", code)
	}
}

// brokerArchive is a session at the broker that keeps what arrives until it is fetched. A subscriber that stays connected through a
// restart of the broker may itself take a QoS 2 message twice (Paho's does); one that comes afterwards sees what the broker had.
type brokerArchive struct {
	t    *testing.T
	args []string
}

func newBrokerArchive(t *testing.T, addr, filter string) brokerArchive {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	a := brokerArchive{t, []string{"-h", host, "-p", port, "-i", "archive", "-c", "-q", "2", "-t", filter}}
	if out, err := exec.CommandContext(t.Context(), "mosquitto_sub", append(a.args, "-E")...).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_sub: %v: %s", err, out)
	}
	return a
}

// fetch takes what has arrived, until nothing more comes for 3 s.
func (a brokerArchive) fetch() *ledger {
	a.t.Helper()
	l := &ledger{order: make(map[string][]int), seen: make(map[string]map[int]int)}
	out, err := exec.CommandContext(a.t.Context(), "mosquitto_sub", append(a.args, "-W", "3", "-F", "%t %p")...).Output()
	if exit := new(exec.ExitError); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 27) { // 27: -W has passed
		a.t.Fatalf("mosquitto_sub: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		topic, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			a.t.Errorf("the broker had %q, which nobody sent", line)
			continue
		}
		l.note(topic, n)
	}
	return l
}

// checkLedger wants each number once or more, in order of first arrival, and few repeats.
func checkLedger(t *testing.T, l *ledger, want, mostRepeats int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	repeats := 0
	for topic, order := range l.order {
		for i, n := range order {
			if n != i+1 {
				t.Errorf("%s: reading %d came in place %d", topic, n, i+1)
				break
			}
		}
		if len(order) != want {
			t.Errorf("%s: got %d readings, want %d", topic, len(order), want)
		}
		for _, times := range l.seen[topic] {
			repeats += times - 1
		}
	}
	t.Logf("%d readings, %d repeats", l.total, repeats)
	if repeats > mostRepeats {
		t.Errorf("got %d repeats, want at most %d", repeats, mostRepeats)
	}
}
