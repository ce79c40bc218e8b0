package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

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

// TestLostPubrecIsNoRepeat loses one PUBREC after the other, by which the message, or those that were gathered, become suspect.
func TestLostPubrecIsNoRepeat(t *testing.T) {
	for name, change := range map[string]func(*agent.Config){"single": func(*agent.Config) {}, "batch": batching} {
		for lost := range 5 {
			t.Run(fmt.Sprintf("%s, %d lost", name, lost), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newExact(t)
					b.lose = lost
					st := b.drain(change)
					if n := st.Queue.Dropped[string(queue.ReasonPoison)]; n != 0 || b.discarded != 0 {
						t.Errorf("%d messages were set aside and %d sessions discarded, want none", n, b.discarded)
					}
				})
			})
		}
	}
}

// TestPoisonAtQoS2 has the broker hang up at a message, which alone is set aside; a batch with it is taken apart only when the
// broker has forgotten its packet id.
func TestPoisonAtQoS2(t *testing.T) {
	for name, tc := range map[string]struct {
		change    func(*agent.Config)
		discarded int
	}{
		"single": {func(*agent.Config) {}, 0},
		"batch":  {batching, 1},
	} {
		for _, at := range []int{1, 3, 7} {
			t.Run(fmt.Sprintf("%s, place %d", name, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newExact(t)
					b.hangsUp = true
					st := b.drain(tc.change, at)
					if n := st.Queue.Dropped[string(queue.ReasonPoison)]; n != 1 || b.discarded != tc.discarded {
						t.Errorf("%d messages were set aside and %d sessions discarded, want 1 and %d", n, b.discarded, tc.discarded)
					}
				})
			})
		}
	}
}

// TestReceivedIsOnlyReleased goes on with a flight that the broker has received, although it is of several messages and suspect.
func TestReceivedIsOnlyReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newExact(t)
		hold := make(chan struct{})
		connect := b.link.connect
		b.link.connect = func(ctx context.Context, resume []agent.Resume, report agent.Report) (agent.Session, error) {
			<-hold
			if len(resume) == 0 {
				return nil, errors.New("not yet")
			}
			return connect(ctx, resume, report)
		}
		a, q, stop := b.run(t, withPoison)
		var seqs []uint64
		for i := range 3 {
			seq, err := a.Accept(t.Context(), queue.Message{Topic: "a", QoS: 2, Payload: fmt.Append(nil, i)})
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, seq)
		}
		if err := q.SaveFlight(t.Context(), queue.Flight{Seq: seqs[0], More: seqs[1:], PacketID: 7, Received: true}, true); err != nil {
			t.Fatal(err)
		}
		if err := q.AddAttempts(append(slices.Repeat(seqs, 3), seqs...)...); err != nil {
			t.Fatal(err)
		}
		b.stored[7] = "0 1 2"
		close(hold)
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{"0 1 2"}, b.readings()); diff != "" {
			t.Errorf("arrived (-want +got):\n%s", diff)
		}
		if got := a.Status(); got.Delivery.Delivered != 3 || got.Queue.Messages != 0 {
			t.Errorf("got %d delivered and %d waiting, want 3 and none", got.Delivery.Delivered, got.Queue.Messages)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestPurgedInFlight purges what the broker has taken without an answer, which holds its packet id: nothing that follows is
// swallowed as a repeat of it, unless the broker doesn't let go of the id even then and has to forget its session.
func TestPurgedInFlight(t *testing.T) {
	for name, tc := range map[string]struct {
		clings    bool
		discarded int
	}{"freed": {false, 0}, "the broker hangs up at it": {true, 1}} {
		for format, change := range map[string]func(*agent.Config){"single": func(*agent.Config) {}, "batch": batching} {
			t.Run(name+", "+format, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newExact(t)
					b.lose, b.clings = 1, tc.clings
					connect := b.link.connect
					var purge []uint64
					b.link.connect = func(ctx context.Context, resume []agent.Resume, report agent.Report) (agent.Session, error) {
						if len(resume) > 0 && purge != nil {
							if err := b.queue.Drop(queue.ReasonPurged, purge...); err != nil {
								t.Error(err)
							}
							purge = nil
							return nil, errors.New("not now")
						}
						return connect(ctx, resume, report)
					}
					a, q, stop := b.run(t, func(c *agent.Config) { withPoison(c); change(c) })
					var want []string
					put := func(n int) (seqs []uint64) {
						for i := range n {
							want = append(want, fmt.Sprint("reading ", len(want)))
							seq, err := a.Accept(t.Context(), queue.Message{Topic: "site/pump", QoS: 2, Payload: []byte(want[len(want)-1])})
							if err != nil {
								t.Fatal(i, err)
							}
							seqs = append(seqs, seq)
						}
						return seqs
					}
					purge = put(3)
					time.Sleep(time.Minute)
					put(3)
					time.Sleep(24 * time.Hour)
					got := slices.DeleteFunc(b.readings(), func(s string) bool { return slices.Contains(want[:3], s) })
					if diff := cmp.Diff(want[3:], got); diff != "" {
						t.Errorf("what was not purged (-want +got):\n%s", diff)
					}
					flights, err := q.Flights()
					if err != nil || len(flights) > 0 || len(b.stored) > 0 || b.discarded != tc.discarded {
						t.Errorf("in flight are %v (%v), the broker holds %v, and has forgotten %d sessions; want none, none and %d", flights, err, b.stored, b.discarded, tc.discarded)
					}
					if st := a.Status(); st.Queue.Messages != 0 || st.Delivery.InFlight != 0 || st.Delivery.Delivered != 3+1 {
						t.Errorf("got %+v and %d waiting, want 3 delivered and a loss receipt", st.Delivery, st.Queue.Messages)
					}
					if err := stop(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// TestSessionLost counts and tells that a broker doesn't know any more what was on its way.
func TestSessionLost(t *testing.T) {
	for name, forgets := range map[string]bool{"kept": false, "lost": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newExact(t)
				b.lose, b.forgets = 1, forgets
				var log bytes.Buffer
				a, _, stop := b.run(t, func(c *agent.Config) { batching(c); c.Log = zerolog.New(&log) })
				for i := range 5 {
					accept(t, a, queue.Message{Topic: "site/pump", QoS: 2, Payload: fmt.Append(nil, i)})
				}
				time.Sleep(time.Hour)
				want := uint64(0)
				if forgets {
					want = 1
				}
				if got := a.Status().Delivery; got.SessionsLost != want || got.Delivered != 5 {
					t.Errorf("got %+v, want 5 delivered and %d sessions lost", got, want)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				if said := strings.Contains(log.String(), `"messages":5,"message":"this broker has no session`); said != forgets {
					t.Errorf("the log tells of 5 messages that are published again: %v, want %v:\n%s", said, forgets, &log)
				}
			})
		})
	}
}
