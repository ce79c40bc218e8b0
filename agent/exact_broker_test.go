package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/queue"
)

// exact is a broker with its client's side of QoS 2: what it has under a packet id it delivers once that is released.
type exact struct {
	t     *testing.T
	link  *link
	queue *queue.Queue

	mu        sync.Mutex
	lose      int  // so many times it hangs up between taking a message and answering PUBREC
	hangsUp   bool // at venom, which it doesn't take
	forgets   bool // its session at each connection
	clings    bool // hangs up at what is only to be freed
	stored    map[uint16]string
	delivered []string
	discarded int
}

func newExact(t *testing.T) *exact {
	b := &exact{t: t, link: newLink(), stored: make(map[uint16]string)}
	b.link.attempts = make(chan int, 1<<16)
	b.link.connect = func(_ context.Context, resume []agent.Resume, _ agent.Report) (agent.Session, error) {
		return b.connect(resume), nil
	}
	return b
}

// run starts an agent whose only broker is b.
func (b *exact) run(t *testing.T, change func(*agent.Config)) (*agent.Agent, *queue.Queue, func() error) {
	t.Helper()
	return run(t, b.link, func(c *agent.Config) {
		b.queue = c.Queue
		change(c)
	})
}

// exactSession numbers what is published and says what the broker has received.
type exactSession struct {
	*session
	broker *exact
	mu     sync.Mutex
	ids    map[uint64]uint16
	held   map[uint64]*receipt
}

func (b *exact) connect(resume []agent.Resume) agent.Session {
	s := &exactSession{session: newSession(), broker: b, ids: make(map[uint64]uint16), held: make(map[uint64]*receipt)}
	b.mu.Lock()
	anew := slices.ContainsFunc(resume, func(r agent.Resume) bool { return r.Anew })
	if anew {
		b.discarded++
	}
	if anew || b.forgets {
		clear(b.stored)
		resume = nil
		if err := b.queue.ClearFlights(context.Background()); err != nil {
			b.t.Error(err)
		}
	}
	b.mu.Unlock()
	for _, r := range resume {
		if r.Message.Topic == "" && !r.Flight.Received && !r.Gone {
			b.t.Errorf("packet id %d of message %d was given up", r.Flight.PacketID, r.Flight.Seq)
		}
		s.resume(r)
	}
	go s.serve()
	return s
}

func (s *exactSession) resume(r agent.Resume) {
	m := r.Message
	m.Seq = r.Flight.Seq
	rec := &receipt{message: m, more: r.Flight.More, done: make(chan struct{})}
	s.ids[m.Seq] = r.Flight.PacketID
	s.resumed = append(s.resumed, rec)
	s.open = append(s.open, rec)
	if r.Held {
		s.held[m.Seq] = rec
		return
	}
	s.published <- rec
}

func (s *exactSession) Publish(ctx context.Context, p agent.Parcel) (agent.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rec := s.held[p.Seq]; rec != nil {
		delete(s.held, p.Seq)
		s.published <- rec
		return rec, nil
	}
	id := uint16(1)
	for used := true; used; {
		used = false
		for _, other := range s.ids {
			used = used || other == id
		}
		if used {
			id++
		}
	}
	s.ids[p.Seq] = id
	if err := s.broker.queue.SaveFlight(ctx, queue.Flight{Seq: p.Seq, PacketID: id, Exact: true, More: p.More}, true); err != nil && !errors.Is(err, queue.ErrNotFound) {
		return nil, err
	}
	return s.session.Publish(ctx, p)
}

func (s *exactSession) serve() {
	for {
		select {
		case r := <-s.published:
			s.take(r)
		case <-s.done:
			return
		}
	}
}

func (s *exactSession) take(r *receipt) {
	b := s.broker
	time.Sleep(time.Second)
	if s.Err() != nil {
		return
	}
	s.mu.Lock()
	id := s.ids[r.Seq()]
	s.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	payload := string(r.message.Payload)
	dead := &agent.LinkError{Cause: agent.CauseLost, HungUp: true, Err: errors.New("connection reset by peer")}
	if b.hangsUp && strings.Contains(payload, "venom") || b.clings && payload == "" {
		s.end(dead)
		return
	}
	held, known := b.stored[id]
	if !known && payload != "" {
		held = payload
		b.stored[id] = held
	}
	if b.lose > 0 {
		b.lose--
		s.end(dead)
		return
	}
	if held != "" { // else nothing was known under the id that was to be freed
		b.delivered = append(b.delivered, held)
	}
	delete(b.stored, id)
	r.finish(nil)
	s.mu.Lock()
	delete(s.ids, r.Seq())
	s.mu.Unlock()
}

// readings are the payloads that have arrived, batches taken apart, without loss receipts.
func (b *exact) readings() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, payload := range b.delivered {
		if !envelope.Is([]byte(payload)) {
			list = append(list, payload)
			continue
		}
		m, err := envelope.NewDecoder().Decode([]byte(payload))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, r := range m.Readings {
			list = append(list, string(r.Payload))
		}
	}
	return slices.DeleteFunc(list, func(s string) bool { return strings.HasPrefix(s, "{") })
}

// drain has the broker take ten readings, the given ones of which are venom, and one every hour after them.
func (b *exact) drain(change func(*agent.Config), venom ...int) agent.Status {
	b.t.Helper()
	a, _, stop := b.run(b.t, func(c *agent.Config) { withPoison(c); change(c) })
	var want []string
	for i := 1; i <= 34; i++ {
		if i > 10 {
			time.Sleep(time.Hour)
		}
		payload := fmt.Sprint("reading ", i)
		if slices.Contains(venom, i) {
			payload = "venom"
		} else {
			want = append(want, payload)
		}
		accept(b.t, a, queue.Message{Topic: "site/pump", QoS: 2, Payload: []byte(payload)})
	}
	time.Sleep(12 * time.Hour)
	got := b.readings()
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("exactly once is broken (-want +got):\n%s", diff)
	}
	st := a.Status()
	if st.Queue.Messages != 0 {
		b.t.Errorf("%d messages wait for ever", st.Queue.Messages)
	}
	if err := stop(); err != nil {
		b.t.Error(err)
	}
	return st
}
