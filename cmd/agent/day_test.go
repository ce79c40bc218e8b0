package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/queue"
)

// world is a whole device in one bubble of virtual time: simulated module on an in-memory wire, embedded broker behind
// it, real agent, real queue file.
type world struct {
	t      *testing.T
	module *gsmsim.Module
	device *device
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
	d, err := wiring{bare: true, openPort: func() (io.ReadWriteCloser, error) { return w.module.Wire(), nil }}.wire(cfg, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel))
	if err != nil {
		t.Fatal(err)
	}
	w.device = d
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
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
	_, err := w.device.agent.Accept(w.t.Context(), queue.Message{Topic: "site/pressure", QoS: qos, Payload: []byte(strconv.Itoa(n)), Source: "test"})
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
	for w.device.queue.Stats().Waiting > 0 {
		if time.Now().After(deadline) {
			st := w.device.agent.Status()
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

// TestADayWithoutLoss is a day of a reading a minute, with three losses of coverage and a NAT that forgets in silence.
func TestADayWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *gsmsim.Config) { c.Network.LoseAfter = 10 * time.Minute })
		const readings = 24 * 60
		for n := 1; n <= readings; n++ {
			switch n {
			case 3 * 60, 9 * 60, 15 * 60:
				w.module.SetCoverage(false)
			case 3*60 + 2, 9*60 + 120, 15*60 + 20:
				w.module.SetCoverage(true)
			case 20 * 60:
				w.module.ForgetNAT()
			}
			w.accept(n)
			time.Sleep(time.Minute)
		}
		w.drained(10 * time.Minute)
		repeats := w.check(readings)
		st := w.device.agent.Status()
		t.Logf("%d sessions, %d dials, %d repeats, outages: %v", st.Link.Sessions, w.dials, repeats, outageTexts(st.Outages))
		if st.Link.Sessions < 3 {
			t.Errorf("got %d sessions: the faults of the day did not happen", st.Link.Sessions)
		}
		if st.Delivery.Delivered != readings {
			t.Errorf("%d messages were released, want %d", st.Delivery.Delivered, readings)
		}
		w.stop()
	})
}

// TestNothingIsReleasedThatQISACKDidNotCover resets the connection right after its first, second, third … QISEND, when
// the module has said SEND OK and the bytes have not come anywhere: whatever was in them has to be sent again.
func TestNothingIsReleasedThatQISACKDidNotCover(t *testing.T) {
	const readings = 40
	for _, qos := range []byte{0, 1} {
		cuts := 0
		for sends := 1; sends <= 12; sends++ {
			t.Run(fmt.Sprintf("QoS %d after %d", qos, sends), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, func(c *gsmsim.Config) { c.Faults.CutAfterSends = sends })
					for n := 1; n <= readings/2; n++ {
						w.acceptQoS(n, qos)
					}
					time.Sleep(time.Minute)
					for n := readings/2 + 1; n <= readings; n++ {
						w.acceptQoS(n, qos)
						time.Sleep(time.Second)
					}
					w.module.SetFaults(gsmsim.Faults{})
					w.drained(30 * time.Minute)
					w.check(readings)
					if w.module.Stats().Connects > 1 {
						cuts++
					}
					w.stop()
				})
			})
		}
		if cuts < 6 {
			t.Errorf("QoS %d: the connection was cut in %d runs only: the test proves little", qos, cuts)
		}
	}
}

func outageTexts(list []agent.Outage) []string {
	var texts []string
	for _, o := range list {
		if o.Until != nil {
			texts = append(texts, fmt.Sprintf("%s for %s", o.Cause, agent.Span(o.Until.Sub(o.From))))
		}
	}
	return texts
}
