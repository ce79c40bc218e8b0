package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// demoTopics are the sensors of the demo: a name, the middle of its values and their spread.
var demoTopics = []struct {
	topic         string
	middle, swing float64
}{
	{"demo/pump-07/pressure_bar", 4.2, 0.3},
	{"demo/coldroom-2/temperature_c", -18.5, 1.2},
	{"demo/weather/wind_m_s", 6.0, 4.0},
}

// sensors publish to the agent's local listener as any MQTT client would: a reading counts as accepted when its PUBACK
// has come.
type sensors struct{ accepted atomic.Int64 }

// run publishes messages readings in all, spread over the given time, and returns when each has been accepted.
func (s *sensors) run(ctx context.Context, addr string, messages int, over time.Duration, seed uint64) error {
	errs := make(chan error, len(demoTopics))
	every := over * time.Duration(len(demoTopics)) / time.Duration(max(messages, 1))
	for i := range demoTopics {
		share := messages / len(demoTopics)
		if i < messages%len(demoTopics) {
			share++
		}
		go func() { errs <- s.sensor(ctx, i, addr, share, every, rand.New(rand.NewPCG(seed, uint64(i)))) }()
	}
	var first error
	for range demoTopics {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (s *sensors) sensor(ctx context.Context, which int, addr string, count int, every time.Duration, rnd *rand.Rand) error {
	kind := demoTopics[which]
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(fmt.Sprintf("demo-sensor-%d", which)).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(10 * time.Second))
	if err := wait(ctx, client.Connect()); err != nil {
		return fmt.Errorf("demo: sensor %s finds no local listener on %s: %w", kind.topic, addr, err)
	}
	defer client.Disconnect(100)
	tick := time.NewTicker(max(every, time.Millisecond))
	defer tick.Stop()
	for n := 1; n <= count; n++ {
		value := kind.middle + kind.swing*rnd.NormFloat64()
		payload, err := json.Marshal(reading{Number: n, Value: math.Round(value*100) / 100})
		if err != nil {
			return err
		}
		if err := wait(ctx, client.Publish(kind.topic, 1, false, payload)); err != nil {
			return fmt.Errorf("demo: the agent did not accept reading %d of %s: %w", n, kind.topic, err)
		}
		s.accepted.Add(1)
		if n == count {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// wait waits for a token no longer than ctx; a token that never ends must not hold the demo up.
func wait(ctx context.Context, t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}
