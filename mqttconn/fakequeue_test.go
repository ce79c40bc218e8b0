package mqttconn_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// fakeQueue is a durable queue with a journal. What was not committed is lost when the process is killed.
type fakeQueue struct {
	messages  []mqttconn.Message
	delivered func(mqttconn.Message) bool // whether it has arrived; nil: nobody can tell

	mu       sync.Mutex
	now      queueState
	durable  queueState
	isKilled bool
}

type queueState struct {
	released map[uint64]bool
	dropped  map[uint64]bool
	flights  map[uint64]mqttconn.Flight
}

func (s queueState) clone() queueState {
	return queueState{maps.Clone(s.released), maps.Clone(s.dropped), maps.Clone(s.flights)}
}

func newFakeQueue(qos byte, messages int) *fakeQueue {
	q := &fakeQueue{now: queueState{map[uint64]bool{}, map[uint64]bool{}, map[uint64]mqttconn.Flight{}}}
	q.durable = q.now.clone()
	for i := range messages {
		q.messages = append(q.messages, mqttconn.Message{
			Seq: uint64(i + 1), More: gathered(uint64(i + 1)), Topic: "site/pump", QoS: qos, Payload: fmt.Append(nil, "reading ", i+1),
		})
	}
	return q
}

// gathered are the names of what else is in a message.
func gathered(seq uint64) []uint64 { return []uint64{seq + 1000, seq + 2000} }

var errKilled = errors.New("the process is dead")

// Save is [mqttconn.Journal]'s.
func (q *fakeQueue) Save(ctx context.Context, f mqttconn.Flight, durable bool) error {
	if durable {
		select {
		case <-time.After(20 * time.Millisecond): // fsync
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isKilled {
		return errKilled
	}
	if want := gathered(f.Seq); f.Seq <= uint64(len(q.messages)) && !slices.Equal(f.More, want) {
		return fmt.Errorf("flight of message %d: More is %v, want %v", f.Seq, f.More, want)
	}
	q.now.flights[f.Seq] = f
	if durable {
		q.durable = q.now.clone()
	}
	return nil
}

// Clear is [mqttconn.Journal]'s.
func (q *fakeQueue) Clear(context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isKilled {
		return errKilled
	}
	clear(q.now.flights)
	q.durable = q.now.clone()
	return nil
}

func (q *fakeQueue) wasDropped(seq uint64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.now.dropped[seq]
}

// release takes a message out, durable with the next commit.
func (q *fakeQueue) release(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.isKilled {
		q.now.released[seq] = true
		delete(q.now.flights, seq)
	}
}

// drop takes a message out that is not to be delivered any more; its packet id stays known.
func (q *fakeQueue) drop(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range []*queueState{&q.now, &q.durable} {
		s.dropped[seq] = !s.released[seq]
		if f, ok := s.flights[seq]; ok && !f.Exact {
			delete(s.flights, f.Seq)
		}
	}
}

// kill ends the process: nothing that it still does counts.
func (q *fakeQueue) kill() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.isKilled = true
}

// start is the process (again): it finds what was durable.
func (q *fakeQueue) start() (resume []mqttconn.Resume, left []mqttconn.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isKilled {
		q.isKilled = false
		q.now = q.durable.clone()
	}
	for _, m := range q.messages {
		if q.now.released[m.Seq] {
			continue
		}
		r := mqttconn.Resume{Flight: q.now.flights[m.Seq]}
		if !q.now.dropped[m.Seq] {
			left, r.Message = append(left, m), m
		}
		if r.PacketID > 0 {
			resume = append(resume, r)
		}
	}
	return resume, left
}

// drain delivers everything, over as many connections as it takes.
func (q *fakeQueue) drain(t *testing.T, b *fakeBroker) {
	for range 5 {
		resume, left := q.start()
		if len(left) == 0 {
			return
		}
		s, err := mqttconn.Connect(t.Context(), b.dial, mqttconn.Config{ClientID: "pump-07", Journal: q, Resume: resume})
		if err != nil {
			continue
		}
		q.deliver(t, s, left)
		time.Sleep(2 * time.Second) // a cut may still come, and a killed process lose the releases
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	t.Fatal("not empty after five connections")
}

// deliver publishes what is left over one connection and releases what is proven.
func (q *fakeQueue) deliver(t *testing.T, s *mqttconn.Session, left []mqttconn.Message) {
	receipts := s.Resumed()
	resumed := make(map[uint64]bool)
	for _, r := range receipts {
		resumed[r.Seq()] = true
	}
	for _, m := range left {
		if resumed[m.Seq] {
			continue
		}
		r, err := s.Publish(t.Context(), m)
		if err != nil {
			break
		}
		receipts = append(receipts, r)
	}
	for _, r := range receipts {
		if r.Err() != nil {
			continue
		}
		m := q.messages[r.Seq()-1]
		if q.wasDropped(m.Seq) {
			q.release(m.Seq)
			continue
		}
		if q.delivered != nil && !q.delivered(m) {
			t.Errorf("message %d was released but has not arrived", m.Seq)
		}
		q.release(m.Seq)
	}
}
