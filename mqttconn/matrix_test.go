package mqttconn_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// TestCutAtEveryMoment cuts the connection once, at each moment of the dialogue in turn: before, after and having answered
// each packet, at each QoS, with a broker that keeps its session and one that loses it, with a process that lives on and
// one that is killed in that moment, with both ways in which a broker may handle QoS 2.
func TestCutAtEveryMoment(t *testing.T) {
	for qos := range byte(3) {
		for _, keeps := range []bool{true, false} {
			for _, killed := range []bool{false, true} {
				for _, early := range []bool{false, true} {
					if early && qos < 2 {
						continue
					}
					c := matrixCase{qos: qos, keeps: keeps, killed: killed, early: early}
					moments := c.run(t, "") // nothing is cut
					if len(moments) < 3*(1+matrixMessages) {
						t.Fatalf("%v: only %d moments: %q", c, len(moments), moments)
					}
					for _, m := range moments {
						if strings.Contains(m, "DISCONNECT") {
							continue
						}
						t.Run(fmt.Sprintf("%v/%s", c, m), func(t *testing.T) { c.run(t, m) })
					}
				}
			}
		}
	}
}

const matrixMessages = 4

type matrixCase struct {
	qos                  byte
	keeps, killed, early bool
}

func (c matrixCase) String() string {
	name := fmt.Sprintf("QoS %d", c.qos)
	for _, part := range []struct {
		on   bool
		name string
	}{{c.keeps, "session kept"}, {!c.keeps, "session lost"}, {c.killed, "killed"}, {c.early, "early"}} {
		if part.on {
			name += ", " + part.name
		}
	}
	return name
}

func (c matrixCase) run(t *testing.T, cutAt string) (moments []string) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(c.qos)
		b := &fakeBroker{cutAt: cutAt, forgets: !c.keeps, early: c.early}
		if c.killed {
			b.onCut = q.kill
		}
		q.delivered = func(m mqttconn.Message) bool { return b.has(string(m.Payload)) }
		q.drain(t, b)
		b.group.Wait()
		c.verify(t, b.payloads())
		moments = b.moments
		if cutAt != "" && (!b.hasCut || b.dials > 2) {
			t.Errorf("cut: %v, connections: %d, want one cut and at most two connections", b.hasCut, b.dials)
		}
	})
	return moments
}

// verify checks what arrived: everything, in order but for repeats, and repeats only where they are allowed.
func (c matrixCase) verify(t *testing.T, got []string) {
	t.Helper()
	var want []string
	for i := range matrixMessages {
		want = append(want, fmt.Sprint("reading ", i+1))
	}
	if c.qos == 2 && c.keeps {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("exactly once is broken (-want +got):\n%s", diff)
		}
		return
	}
	var first []string
	for _, p := range got {
		if !slices.Contains(first, p) {
			first = append(first, p)
		}
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("lost or out of order (-want +got):\n%s", diff)
	}
	if len(got) > 2*matrixMessages {
		t.Errorf("%d arrived of %d: %q", len(got), matrixMessages, got)
	}
}

// fakeQueue is a durable queue with a journal. What was not committed is lost when the process is killed.
type fakeQueue struct {
	messages  []mqttconn.Message
	delivered func(mqttconn.Message) bool

	mu       sync.Mutex
	now      queueState
	durable  queueState
	isKilled bool
}

type queueState struct {
	released map[uint64]bool
	flights  map[uint64]mqttconn.Flight
}

func (s queueState) clone() queueState {
	return queueState{maps.Clone(s.released), maps.Clone(s.flights)}
}

func newFakeQueue(qos byte) *fakeQueue {
	q := &fakeQueue{now: queueState{map[uint64]bool{}, map[uint64]mqttconn.Flight{}}}
	q.durable = q.now.clone()
	for i := range matrixMessages {
		q.messages = append(q.messages, mqttconn.Message{
			Seq: uint64(i + 1), Topic: "site/pump", QoS: qos, Payload: fmt.Append(nil, "reading ", i+1),
		})
	}
	return q
}

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

// release takes a message out, durable with the next commit.
func (q *fakeQueue) release(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.isKilled {
		q.now.released[seq] = true
		delete(q.now.flights, seq)
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
		left = append(left, m)
		if f, ok := q.now.flights[m.Seq]; ok {
			resume = append(resume, mqttconn.Resume{Flight: f, Message: m})
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
		if !q.delivered(m) {
			t.Errorf("message %d was released but has not arrived", m.Seq)
		}
		q.release(m.Seq)
	}
	time.Sleep(2 * time.Second) // a cut may still come, and a killed process lose the releases
}
