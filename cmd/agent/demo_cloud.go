package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// reading is what a sensor of the demo publishes. Number counts from 1 per topic, so that the cloud can tell what is
// missing, doubled or out of order.
type reading struct {
	Number int     `json:"n"`
	Value  float64 `json:"value"`
}

// cloud is the demo's broker with a subscriber that keeps the books.
type cloud struct {
	server *mqtt.Server
	addr   string

	mu         sync.Mutex
	topics     map[string]*topicBook
	received   int // different readings
	duplicates int
	outOfOrder int
}

type topicBook struct {
	seen map[int]bool
	last int
}

// startCloud starts the broker on a free port of the loopback interface.
func startCloud(topics string) (*cloud, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: the embedded broker finds no free port: %w", err)
	}
	c := &cloud{addr: l.Addr().String(), topics: make(map[string]*topicBook)}
	c.server = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := c.server.AddHook(new(openDoor), nil); err != nil {
		return nil, err
	}
	if err := c.server.AddListener(listeners.NewNet("cloud", l)); err != nil {
		return nil, err
	}
	if err := c.server.Serve(); err != nil {
		return nil, err
	}
	err = c.server.Subscribe(topics, 1, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
		c.note(pk.TopicName, pk.Payload)
	})
	return c, err
}

func (c *cloud) note(topic string, payload []byte) {
	var r reading
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := json.Unmarshal(payload, &r); err != nil || r.Number < 1 {
		return // only the demo's sensors publish here; what is cut or changed is missing in the end
	}
	book := c.topics[topic]
	if book == nil {
		book = &topicBook{seen: make(map[int]bool)}
		c.topics[topic] = book
	}
	switch {
	case book.seen[r.Number]:
		c.duplicates++
	default:
		book.seen[r.Number] = true
		c.received++
		if r.Number < book.last {
			c.outOfOrder++
		}
		book.last = max(book.last, r.Number)
	}
}

func (c *cloud) counts() (received, duplicates, outOfOrder int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received, c.duplicates, c.outOfOrder
}

func (c *cloud) close() { _ = c.server.Close() }

// openDoor lets every client in: the broker is reachable from this machine only, and ends with the demo.
type openDoor struct{ mqtt.HookBase }

func (*openDoor) ID() string { return "open-door" }

func (*openDoor) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

func (*openDoor) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (*openDoor) OnACLCheck(*mqtt.Client, string, bool) bool { return true }
