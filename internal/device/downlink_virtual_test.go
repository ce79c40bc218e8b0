package device_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/downlink"
)

// desk sends commands from the broker's side of a world and collects the answers.
type desk struct {
	w *world

	mu      sync.Mutex
	answers []downlink.Answer
	states  []string
}

func newDesk(t *testing.T, w *world) *desk {
	t.Helper()
	d := &desk{w: w}
	for topic, note := range map[string]func([]byte){
		"pump-07/answer": func(p []byte) {
			var a downlink.Answer
			if err := json.Unmarshal(p, &a); err != nil {
				t.Errorf("answer %q: %v", p, err)
			}
			d.answers = append(d.answers, a)
		},
		"pump-07/status": func(p []byte) { d.states = append(d.states, string(p)) },
	} {
		err := w.server.Subscribe(topic, 1, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
			d.mu.Lock()
			defer d.mu.Unlock()
			note(pk.Payload)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *desk) send(name, payload string) {
	d.w.t.Helper()
	if err := d.w.server.Publish("pump-07/cmd/"+name, []byte(payload), false, 1); err != nil {
		d.w.t.Fatal(err)
	}
}

// ask sends a command and waits for its answer.
func (d *desk) ask(id, name string) downlink.Answer {
	d.w.t.Helper()
	d.send(name, fmt.Sprintf(`{"id":%q}`, id))
	begin := time.Now()
	for time.Since(begin) < 10*time.Minute {
		time.Sleep(time.Second)
		d.mu.Lock()
		i := slices.IndexFunc(d.answers, func(a downlink.Answer) bool { return a.ID == id })
		var a downlink.Answer
		if i >= 0 {
			a = d.answers[i]
		}
		d.mu.Unlock()
		if i >= 0 {
			return a
		}
	}
	d.w.t.Fatalf("no answer to %s within 10 min: %s", id, d.w.device.Agent().Status().Reason)
	return downlink.Answer{}
}

func commanded(c *config.Config) {
	c.Downlink.Enabled, c.Downlink.Rate = true, 100
	c.Downlink.Allow = config.List{"status", "reconnect", "restart-module"}
}

// TestCommandsToTheModule restarts a simulated module from afar, at the vendor's pace, and connects again when asked.
func TestCommandsToTheModule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, commanded)
		d := newDesk(t, w)
		w.reached(1)
		sessions := func() uint64 { return w.device.Agent().Status().Link.Sessions }

		if a := d.ask("1", "reconnect"); !a.OK || sessions() != 2 {
			t.Errorf("reconnect: %+v, %d sessions", a, sessions())
		}
		time.Sleep(time.Hour)
		boots := w.module.Stats().Boots
		if a := d.ask("2", "restart-module"); !a.OK {
			t.Errorf("restart-module: %+v", a)
		}
		if got := w.module.Stats().Boots - boots; got != 1 {
			t.Errorf("the module was started %d times, want once", got)
		}
		w.reached(2)
		d.mu.Lock()
		last := d.states[len(d.states)-1]
		answers := len(d.answers)
		d.mu.Unlock()
		if answers != 2 {
			t.Errorf("got %d answers to 2 commands", answers)
		}
		var state struct {
			State  string
			Outage struct{ Cause string }
		}
		if err := json.Unmarshal([]byte(last), &state); err != nil || state.State != "online" || state.Outage.Cause == "" {
			t.Errorf("presence after the restart: %s %v", last, err)
		}
		if a := d.ask("3", "restart-module"); a.Code != downlink.CodeTooSoon {
			t.Errorf("another one a minute later: %+v", a)
		}
		time.Sleep(10 * time.Minute)
		if a := d.ask("4", "restart-module"); !a.OK {
			t.Errorf("ten minutes later: %+v", a)
		}
		if got := w.module.Stats().Boots - boots; got != 2 {
			t.Errorf("the module was started %d times, want twice", got)
		}
	})
}

// TestHugeCommand is sent what would hold the connection for minutes, by a broker that would send it again and again.
func TestHugeCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, commanded)
		d := newDesk(t, w)
		w.reached(1)
		d.send("status", string(make([]byte, 300<<10)))
		time.Sleep(10 * time.Minute)
		if got := w.device.Agent().Status().Link.Sessions; got != 2 {
			t.Errorf("got %d sessions, want one more after a message that is too large", got)
		}
		w.reached(2)
		if a := d.ask("1", "status"); !a.OK {
			t.Errorf("a command after it: %+v", a)
		}
	})
}
