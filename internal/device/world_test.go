package device_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/internal/device"
	"github.com/fieldpost/fieldpost/queue"
)

// world is a whole device in one bubble of virtual time: simulated module on an in-memory wire, embedded broker behind
// it, real agent, real queue file.
type world struct {
	t      *testing.T
	module *gsmsim.Module
	device *device.Device
	config *config.Config
	stop   func()

	server *mqtt.Server
	conns  sync.WaitGroup

	mu      sync.Mutex
	arrived map[int]int
	order   []int
	dials   int
	lines   []net.Conn // the broker's ends
}

// newWorld starts everything; change adapts the module, and settings the configuration.
func newWorld(t *testing.T, change func(*gsmsim.Config), settings ...func(*config.Config)) *world {
	t.Helper()
	w := &world{t: t, arrived: make(map[int]int)}
	w.server = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := w.server.AddHook(new(openDoor), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Serve(); err != nil {
		t.Fatal(err)
	}
	if err := w.server.Subscribe("site/#", 1, w.note); err != nil {
		t.Fatal(err)
	}
	simConfig := gsmsim.Config{Baud: 115200, Dial: w.dial}
	if change != nil {
		change(&simConfig)
	}
	w.module = gsmsim.New(simConfig)

	cfg := config.Default()
	cfg.Device, cfg.DataDir = "pump-07", filepath.Join(t.TempDir(), "data")
	cfg.Modem.APN = "CMNET"
	cfg.Broker.URL = config.List{"mqtt://broker.example:1883"}
	cfg.Sources.MQTT.Listen, cfg.Sources.HTTP.Listen, cfg.Web.Listen = "", "", ""
	for _, set := range settings {
		set(cfg)
	}
	d, err := device.New(cfg, device.Options{Bare: true, OpenPort: func() (io.ReadWriteCloser, error) { return w.module.Wire(), nil },
		Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel)})
	if err != nil {
		t.Fatal(err)
	}
	w.device, w.config = d, cfg
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := w.module.Close(); err != nil {
			t.Error(err)
		}
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
		w.conns.Wait()
	})
	t.Cleanup(w.stop)
	return w
}

// dial is the module's way to the broker.
func (w *world) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	w.mu.Lock()
	w.dials++
	w.lines = append(w.lines, far)
	w.mu.Unlock()
	w.conns.Go(func() { _ = w.server.EstablishConnection("pipe", far) })
	return near, nil
}

// hangUp closes all connections at the broker's end.
func (w *world) hangUp() {
	w.mu.Lock()
	lines := w.lines
	w.lines = nil
	w.mu.Unlock()
	for _, c := range lines {
		c.Close()
	}
}

func (w *world) note(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
	n, err := strconv.Atoi(string(pk.Payload))
	if err != nil {
		w.t.Errorf("the broker got %q, which nobody sent", pk.Payload)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.arrived[n]++; w.arrived[n] == 1 {
		w.order = append(w.order, n)
	}
}

// accept takes reading n in, as a source would.
func (w *world) accept(n int) {
	w.t.Helper()
	w.acceptQoS(n, 1)
}

func (w *world) acceptQoS(n int, qos byte) {
	w.t.Helper()
	_, err := w.device.Agent().Accept(w.t.Context(), queue.Message{Topic: "site/pressure", QoS: qos, Payload: []byte(strconv.Itoa(n)), Source: "test"})
	if err != nil {
		w.t.Fatalf("reading %d was not accepted: %v", n, err)
	}
}

// reached takes reading n in and waits until it has arrived and nothing waits any more.
func (w *world) reached(n int) {
	w.t.Helper()
	w.accept(n)
	w.drained(5 * time.Minute)
	time.Sleep(time.Minute)
}

// drained waits until the queue is empty.
func (w *world) drained(within time.Duration) {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for w.device.Queue().Stats().Waiting > 0 {
		if time.Now().After(deadline) {
			st := w.device.Agent().Status()
			w.t.Fatalf("%d messages wait still after %v: %s", st.Queue.Messages, within, st.Reason)
		}
		time.Sleep(time.Second)
	}
}

// check wants every reading up to n to have arrived, in order, and returns how many came more than once.
func (w *world) check(n int) (repeats int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, got := range w.order {
		if got != i+1 {
			w.t.Errorf("reading %d arrived in place %d", got, i+1)
			break
		}
	}
	if len(w.order) != n {
		w.t.Errorf("%d readings arrived, want %d", len(w.order), n)
	}
	for _, times := range w.arrived {
		repeats += times - 1
	}
	return repeats
}

// openDoor lets every client in.
type openDoor struct{ mqtt.HookBase }

func (*openDoor) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}

func (*openDoor) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (*openDoor) OnACLCheck(*mqtt.Client, string, bool) bool { return true }
