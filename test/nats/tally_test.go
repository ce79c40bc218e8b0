package nats_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// tally counts what the cluster has stored: each reading under the sequence that the cluster gave it.
type tally struct {
	mu     sync.Mutex
	stored map[string]map[uint64]bool // topic and payload → sequences in the cluster's stream
	more   chan struct{}              // closed and replaced at each message
}

// The stream in which nats-server keeps MQTT messages of QoS 1 and 2, and the subjects of the readings in it.
const (
	mqttStream = "$MQTT_msgs"
	mqttPrefix = "$MQTT.msgs."
	readings   = mqttPrefix + "site.>"
)

// startTally begins when the cluster has its stream, which it makes for the first MQTT client.
func startTally(t *testing.T, nodes []*node) *tally {
	t.Helper()
	var urls []string
	for _, n := range nodes {
		urls = append(urls, "nats://"+n.client)
	}
	conn, err := nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	var consumer jetstream.Consumer
	eventually(t, "the cluster lets its messages be read", time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		consumer, err = js.CreateOrUpdateConsumer(ctx, mqttStream, jetstream.ConsumerConfig{
			Durable: "tally", FilterSubject: readings, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second, MaxAckPending: 10000,
		})
		return err == nil
	})
	l := &tally{stored: make(map[string]map[uint64]bool), more: make(chan struct{})}
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			t.Errorf("a message of the cluster without a sequence: %v", err)
			return
		}
		l.note(strings.TrimPrefix(m.Subject(), mqttPrefix)+" "+string(m.Data()), meta.Sequence.Stream)
		_ = m.Ack() // one that is lost brings the message again, under the same sequence
	}, jetstream.PullExpiry(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consuming.Stop)
	return l
}

func (l *tally) note(reading string, sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stored[reading] == nil {
		l.stored[reading] = make(map[uint64]bool)
	}
	l.stored[reading][sequence] = true
	close(l.more)
	l.more = make(chan struct{})
}

// reach waits until the cluster has n readings.
func (l *tally) reach(ctx context.Context, n int) error {
	for {
		l.mu.Lock()
		have, more := len(l.stored), l.more
		l.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d readings arrived: %w", have, n, ctx.Err())
		}
	}
}

func (l *tally) different() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.stored)
}

// repeats is how many readings were stored more than once, of those that begin with prefix.
func (l *tally) repeats(prefix string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for reading, sequences := range l.stored {
		if strings.HasPrefix(reading, prefix) && len(sequences) > 1 {
			list = append(list, reading)
		}
	}
	return list
}

// missing lists those of the readings that the cluster doesn't have.
func (l *tally) missing(all []string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, reading := range all {
		if l.stored[reading] == nil {
			list = append(list, reading)
		}
	}
	return list
}
