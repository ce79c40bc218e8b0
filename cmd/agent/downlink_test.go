package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/fieldpost/fieldpost/agent/downlink"
)

// operator is the far end: it sends commands and collects what comes back.
type operator struct {
	t      *testing.T
	client paho.Client

	mu      sync.Mutex
	answers []downlink.Answer
	states  []string // of the status topic, in order
}

func newOperator(t *testing.T, broker, user string) *operator {
	t.Helper()
	o := &operator{t: t}
	o.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("operator").SetUsername(user).
		SetProtocolVersion(4).SetAutoReconnect(false))
	mustToken(t, "operator connects", o.client.Connect())
	t.Cleanup(func() { o.client.Disconnect(100) })
	mustToken(t, "answers", o.client.Subscribe("pump-07/answer", 1, func(_ paho.Client, m paho.Message) {
		var a downlink.Answer
		if err := json.Unmarshal(m.Payload(), &a); err != nil {
			t.Errorf("answer %q: %v", m.Payload(), err)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.answers = append(o.answers, a)
	}))
	mustToken(t, "presence", o.client.Subscribe("pump-07/status", 1, func(_ paho.Client, m paho.Message) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.states = append(o.states, string(m.Payload()))
	}))
	return o
}

func (o *operator) send(name, payload string, retained bool) {
	o.t.Helper()
	mustToken(o.t, name, o.client.Publish("pump-07/cmd/"+name, 1, retained, payload))
}

// answer waits for the answer to a command.
func (o *operator) answer(id string) downlink.Answer {
	o.t.Helper()
	var found downlink.Answer
	eventually(o.t, "the answer to "+id, 30*time.Second, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		i := slices.IndexFunc(o.answers, func(a downlink.Answer) bool { return a.ID == id })
		if i >= 0 {
			found = o.answers[i]
		}
		return i >= 0
	})
	return found
}

func (o *operator) ask(id, name, more string) downlink.Answer {
	o.t.Helper()
	o.send(name, fmt.Sprintf(`{"id":%q%s}`, id, more), false)
	return o.answer(id)
}

// state waits until the newest word of the device contains text.
func (o *operator) state(text string) string {
	o.t.Helper()
	last := ""
	eventually(o.t, "presence with "+text, 30*time.Second, func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.states) > 0 {
			last = o.states[len(o.states)-1]
		}
		return strings.Contains(last, text)
	})
	return last
}

// wantCodes checks that each command got one answer.
func (o *operator) wantCodes(want map[string]string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	got := make(map[string][]string)
	for _, a := range o.answers {
		got[a.ID] = append(got[a.ID], a.Code)
	}
	for id, code := range want {
		if !slices.Equal(got[id], []string{code}) {
			o.t.Errorf("command %s: got the answers %q, want one with %q", id, got[id], code)
		}
		delete(got, id)
	}
	if len(got) > 0 {
		o.t.Errorf("unexpected answers: %v", got)
	}
}

const downlinkConfig = `
device: pump-07
data_dir: %s
link: system
broker: {url: "mqtt://%s", username: pump-07, password_file: %s}
sources:
  mqtt: {listen: %s}
  http: {listen: ""}
web: {listen: ""}
downlink: {enabled: true, rate: 100, allow: [status, config-get, reconnect, restart-module, set-log-level, flush, valve]}
log: {level: info, format: json}
`

// TestDownlink sends commands through a real broker, to an agent that is killed in the middle of one.
func TestDownlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broker := startMosquitto(t, "")
	local := freePort(t)
	secret := writeFile(t, filepath.Join(dir, "password"), "open-sesame")
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(downlinkConfig, filepath.Join(dir, "data"), broker.addr, secret, local))
	run := func(name string) *program {
		p := fieldpost(t, name, "run", "--config", conf)
		p.waitFor(`"connected"`, time.Minute)
		return p
	}
	agent := run("agent")
	o := newOperator(t, broker.addr, "")
	if state := o.state(`"online"`); !strings.Contains(state, `"cause":"start"`) || !strings.Contains(state, `"version"`) {
		t.Errorf("presence: %s", state)
	}

	if a := o.ask("1", "status", ""); !a.OK || !strings.Contains(fmt.Sprint(a.Result), "verdict:ok") {
		t.Errorf("status: %+v", a)
	}
	if a := o.ask("2", "config-get", `,"args":{"key":"broker"}`); !a.OK || !strings.Contains(fmt.Sprint(a.Result), "username:pump-07") ||
		strings.Contains(fmt.Sprint(a.Result), "sesame") {
		t.Errorf("config-get: %+v", a)
	}
	o.ask("3", "set-log-level", `,"args":{"level":"debug","for":"1m"}`)
	o.ask("4", "restart-module", "")
	o.ask("5", "resend-all", "")
	o.ask("6", "valve", `,"args":"open"`)
	o.ask("7", "flush", `,"expires":"2020-01-01T00:00:00Z"`)
	o.send("status", `{"id":"1"}`, false)               // once more
	agent.waitFor("command came again", 10*time.Second) // of the level debug
	o.ask("8", "reconnect", "")

	// Local software gets the command and doesn't acknowledge it: the agent waits for that when it is killed.
	got, acked := make(chan string, 10), make(chan struct{})
	plc := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + local).SetClientID("plc").SetProtocolVersion(4).
		SetAutoReconnect(false).SetAutoAckDisabled(true))
	mustToken(t, "local software connects", plc.Connect())
	mustToken(t, "local software subscribes", plc.Subscribe("fieldpost/cmd/#", 1, func(_ paho.Client, m paho.Message) {
		got <- m.Topic() + "=" + string(m.Payload())
		select {
		case <-acked:
			m.Ack()
		default:
		}
	}))
	o.send("valve", `{"id":"9","args":"open"}`, false)
	if command := <-got; command != "fieldpost/cmd/valve=open" {
		t.Errorf("local software got %s", command)
	}
	agent.kill()
	plc.Disconnect(0)
	o.state(`"offline"`)

	agent = run("agent after the kill")
	if a := o.answer("9"); a.OK || a.Code != downlink.CodeInterrupted {
		t.Errorf("a command that was cut short: %+v", a)
	}
	o.state(`"online"`)
	close(acked)
	plc = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + local).SetClientID("plc").SetProtocolVersion(4).SetAutoReconnect(false))
	mustToken(t, "local software connects again", plc.Connect())
	mustToken(t, "local software subscribes again", plc.Subscribe("fieldpost/cmd/#", 1, func(_ paho.Client, m paho.Message) { got <- string(m.Payload()) }))
	defer plc.Disconnect(0)
	o.send("valve", `{"id":"9","args":"open"}`, false) // as at QoS 1
	if a := o.ask("10", "valve", `,"args":{"percent": 40}`); !a.OK {
		t.Errorf("forwarded: %+v", a)
	}
	if command := <-got; command != `{"percent": 40}` {
		t.Errorf("local software got %s, want only the second command", command)
	}

	// What is sent while the device is away is carried out when it returns; what is retained is not.
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: got exit code %d", code)
	}
	o.state(`"stopped"`)
	o.send("status", `{"id":"11"}`, false)
	agent = run("agent after the stop")
	o.answer("11")

	o.wantCodes(map[string]string{"1": "", "2": "", "3": "", "4": downlink.CodeUnavailable, "5": downlink.CodeNotAllowed,
		"6": downlink.CodeUnavailable, "7": downlink.CodeExpired, "8": "", "9": downlink.CodeInterrupted, "10": "", "11": ""})
	if strings.Contains(agent.text(), "open-sesame") {
		t.Error("the password is in the log")
	}
}
