package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/internal/uplink"
	"github.com/fieldpost/fieldpost/queue"
)

// TestLostPubrecsAtMosquitto hangs up, in the broker's name, when that has taken a message at QoS 2 and has answered, once, until the
// message is suspect, or until those that were gathered are taken apart. Whether it is one reading or was gathered from several, each arrives once.
func TestLostPubrecsAtMosquitto(t *testing.T) {
	t.Parallel()
	for _, format := range []agent.Format{agent.FormatPlain, agent.FormatBatch} {
		for _, lost := range []int32{1, 2, 4} {
			if lost == 4 && format == agent.FormatPlain {
				continue // a reading that four sessions die of is poison
			}
			t.Run(fmt.Sprintf("%s, %d lost", format, lost), func(t *testing.T) {
				t.Parallel()
				lostPubrecs(t, format, lost)
			})
		}
	}
}

// TestPurgedInFlightAtABroker purges a message whose PUBREC was lost. The broker, unlike Mosquitto, doesn't look at what comes under a
// packet id that it holds: the next message must not come under that.
func TestPurgedInFlightAtABroker(t *testing.T) {
	t.Parallel()
	broker, err := startCloud("site/#")
	if err != nil {
		t.Fatal(err)
	}
	defer broker.close()
	arrived := readingsAt(t, broker.addr)
	relay, left := pubrecEater(t, broker.addr, 1)
	path, data := filepath.Join(t.TempDir(), "queue.db"), t.TempDir()
	life := func(until func(*agent.Agent, *queue.Queue) bool) {
		t.Helper()
		q, err := queue.Open(queue.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		up, err := uplink.New(&config.Config{DataDir: data, Device: "pump-07", Link: config.LinkSystem,
			Broker: config.Broker{URL: config.List{"mqtt://" + relay}, Release: config.ReleaseProof}}, uplink.Options{Queue: q})
		if err != nil {
			t.Fatal(err)
		}
		a, err := agent.New(agent.Config{Device: "pump-07", Queue: q, Link: up, Log: zerolog.Nop(),
			Retry: func(error, time.Duration) time.Duration { return time.Hour }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		eventually(t, "that is done", 20*time.Second, func() bool { return until(a, q) })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	accept := func(a *agent.Agent, payload string) {
		t.Helper()
		if _, err := a.Accept(t.Context(), queue.Message{Topic: "site/pump", QoS: 2, Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	begun := false
	life(func(a *agent.Agent, q *queue.Queue) bool {
		if !begun {
			begun = true
			accept(a, "purged")
		}
		if left.Load() > 0 || a.Status().Link.Connected {
			return false
		}
		if n, err := q.Purge(t.Context(), queue.Filter{}.Match, false, nil); n.Messages != 1 || err != nil {
			t.Fatalf("purged %d, %v", n, err)
		}
		return true
	})
	begun = false
	life(func(a *agent.Agent, q *queue.Queue) bool {
		if !begun {
			begun = true
			accept(a, "first after it")
			accept(a, "second after it")
		}
		return a.Status().Queue.Messages == 0
	})
	eventually(t, "both have arrived", 20*time.Second, func() bool {
		got := slices.DeleteFunc(arrived(), func(s string) bool { return s == "purged" })
		return slices.Equal(got, []string{"first after it", "second after it"})
	})
}

func lostPubrecs(t *testing.T, format agent.Format, lost int32) {
	broker := startMosquitto(t, "")
	arrived := readingsAt(t, broker.addr)
	relay, left := pubrecEater(t, broker.addr, lost)
	q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	up, err := uplink.New(&config.Config{DataDir: t.TempDir(), Device: "pump-07", Link: config.LinkSystem,
		Broker: config.Broker{URL: config.List{"mqtt://" + relay}, Release: config.ReleaseProof}}, uplink.Options{Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(agent.Config{Device: "pump-07", Queue: q, Link: up, Log: zerolog.Nop(), PoisonAfter: 2,
		Encoding: agent.Encoding{Format: format, Topic: "site/batch", MaxMessages: 3, MaxAge: time.Hour},
		Retry:    func(error, time.Duration) time.Duration { return 10 * time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	put := func(qos byte) {
		t.Helper()
		for range 3 {
			want = append(want, fmt.Sprintf("QoS %d, reading %d", qos, len(want)))
			if _, err := a.Accept(t.Context(), queue.Message{Topic: "site/pump", QoS: qos, Payload: []byte(want[len(want)-1])}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	eventually(t, "the PUBRECs are lost and the queue is empty", 20*time.Second, func() bool {
		if a.Status().Queue.Messages == 3 {
			put(1) // which shows that the broker works
		}
		return left.Load() <= 0 && a.Status().Queue.Messages == 0
	})
	eventually(t, "everything has arrived", 20*time.Second, func() bool {
		got := arrived()
		slices.Sort(got)
		return len(slices.Compact(got)) >= len(want)
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := arrived()
	slices.Sort(got)
	slices.Sort(want)
	once := slices.Compact(slices.Clone(got))
	if diff := cmp.Diff(want, once); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	atQoS1 := func(reading string) bool { return strings.HasPrefix(reading, "QoS 1") } // which may come again
	got, want = slices.DeleteFunc(got, atQoS1), slices.DeleteFunc(want, atQoS1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exactly once is broken (-want +got):\n%s", diff)
	}
}

// readingsAt collects the readings that the broker delivers, batches taken apart.
func readingsAt(t *testing.T, addr string) (arrived func() []string) {
	t.Helper()
	var mu sync.Mutex
	var list []string
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID("cloud").SetProtocolVersion(4).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			mu.Lock()
			defer mu.Unlock()
			if !envelope.Is(m.Payload()) {
				list = append(list, string(m.Payload()))
				return
			}
			batch, err := envelope.NewDecoder().Decode(m.Payload())
			if err != nil {
				t.Error(err)
			}
			for _, r := range batch.Readings {
				list = append(list, string(r.Payload))
			}
		}))
	mustToken(t, "subscriber connects", client.Connect())
	mustToken(t, "subscription", client.Subscribe("site/#", 2, nil))
	t.Cleanup(func() { client.Disconnect(100) })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

// pubrecEater leads to addr. It ends the connection, as a broker does that dies, in place of the first PUBRECs.
func pubrecEater(t *testing.T, addr string, first int32) (relay string, left *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	left = new(atomic.Int32)
	left.Store(first)
	var group sync.WaitGroup
	serve := func(near net.Conn) {
		defer near.Close()
		far, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer far.Close()
		group.Go(func() {
			_, _ = io.Copy(far, near)
			_ = far.Close()
		})
		for {
			p, err := packets.ReadPacket(far)
			if err != nil {
				return
			}
			if _, ok := p.(*packets.PubrecPacket); ok && left.Add(-1) >= 0 {
				return
			}
			if p.Write(near) != nil {
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
			group.Go(func() { serve(near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	return l.Addr().String(), left
}
