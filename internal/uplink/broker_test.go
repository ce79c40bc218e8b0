package uplink

import (
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// broker is one that, unlike Mosquitto, doesn't look at the content of a message under a packet id that it holds.
type broker struct {
	addr   string
	server *mqtt.Server

	mu      sync.Mutex
	arrived []string // payloads below site/
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	b := &broker{addr: l.Addr().String(), server: server}
	if err := server.AddHook(new(openDoor), nil); err != nil {
		t.Fatal(err)
	}
	if err := server.AddListener(listeners.NewNet("tcp", l)); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if err := server.Subscribe("site/#", 1, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.arrived = append(b.arrived, string(pk.Payload))
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// readings lists what has arrived, in order.
func (b *broker) readings() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.arrived)
}

// openDoor lets every client in.
type openDoor struct{ mqtt.HookBase }

func (*openDoor) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

func (*openDoor) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (*openDoor) OnACLCheck(*mqtt.Client, string, bool) bool { return true }
