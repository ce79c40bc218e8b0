package agent_test

import (
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

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/queue"
)

// touchy is a broker that ends the connection at some messages, each of which takes it a second.
type touchy struct {
	link    *link
	hangsUp func(payload string) bool
	silent  func(payload string) bool // has it and never answers

	mu       sync.Mutex
	arrived  []string
	together int // the most that were on their way when a poisonous one was
	deaths   int
}

func newTouchy(hangsUp func(string) bool) *touchy {
	b := &touchy{link: newLink(), hangsUp: hangsUp}
	b.link.attempts = make(chan int, 1<<16)
	b.link.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) {
		s := newSession()
		go b.serve(s)
		return s, nil
	}
	return b
}

func (b *touchy) serve(s *session) {
	for {
		select {
		case r := <-s.published:
			b.take(s, r)
		case <-s.done:
			return
		}
	}
}

func (b *touchy) take(s *session, r *receipt) {
	payload := string(r.message.Payload)
	time.Sleep(time.Second)
	if s.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.hangsUp(payload):
		b.deaths++
		b.together = 1 + len(s.published)
		s.end(&agent.LinkError{Cause: agent.CauseLost, HungUp: true, Err: errors.New("connection reset by peer")})
	case b.silent != nil && b.silent(payload):
		b.deaths++
		b.together = 1 + len(s.published)
		s.end(&agent.LinkError{Cause: agent.CauseLost, Unanswered: r.Seq(), Err: errors.New("no answer")})
	default:
		if !strings.HasPrefix(payload, "{") { // a loss receipt
			b.arrived = append(b.arrived, payload)
		}
		r.finish(nil)
	}
}

func (b *touchy) got() (arrived []string, deaths, together int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.arrived), b.deaths, b.together
}

func poisonous(payload string) bool { return strings.HasPrefix(payload, "poison") }

func never(string) bool { return false }

func withPoison(c *agent.Config) { c.PoisonAfter = 3 }

func TestPoisonIsSetAside(t *testing.T) {
	for name, spoil := range map[string]func(*touchy){
		"hung up":    func(b *touchy) { b.hangsUp = poisonous },
		"unanswered": func(b *touchy) { b.silent = poisonous },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTouchy(never)
				spoil(b)
				a, q, stop := run(t, b.link, withPoison)
				for _, payload := range []string{"1", "poison 2", "3", "poison 4", "5", "6"} {
					put(t, a, "site/pump", payload)
				}
				time.Sleep(6 * time.Hour)
				arrived, _, together := b.got()
				if diff := cmp.Diff([]string{"1", "3", "5", "6"}, arrived); diff != "" {
					t.Errorf("arrived (-want +got):\n%s", diff)
				}
				if together != 1 {
					t.Errorf("%d messages were on their way beside the poison when the last session died, want it alone", together-1)
				}
				st := a.Status()
				if d := st.Delivery; len(d.PassedOver) != 0 || d.SetAside == nil || d.SetAside.Seq != 4 || d.SetAside.Topic != "site/pump" {
					t.Errorf("got %+v passed over and %+v set aside, want none and message 4", d.PassedOver, d.SetAside)
				}
				if st.Queue.Messages != 0 || st.Queue.Dropped[string(queue.ReasonPoison)] != 2 {
					t.Errorf("got %d waiting and dropped %v, want none and 2 as poison", st.Queue.Messages, st.Queue.Dropped)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				if q.Stats().Waiting != 0 {
					t.Error("the queue isn't empty")
				}
			})
		})
	}
}

// A broker that bears no message at all, or a link that breaks at each, costs nothing.
func TestNoPoisonWhereNothingWorks(t *testing.T) {
	for name, hangsUp := range map[string]bool{"the broker hangs up on everything": true, "the link breaks": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				broken := true
				b := newTouchy(func(string) bool { mu.Lock(); defer mu.Unlock(); return broken && hangsUp })
				healthy := b.link.connect
				b.link.connect = func(ctx context.Context, r []agent.Resume, report agent.Report) (agent.Session, error) {
					s, err := healthy(ctx, r, report)
					mu.Lock()
					defer mu.Unlock()
					if broken && !hangsUp {
						time.AfterFunc(time.Millisecond, func() { s.(*session).end(errLost) })
					}
					return s, err
				}
				a, _, stop := run(t, b.link, withPoison)
				var want []string
				for i := range 20 {
					want = append(want, fmt.Sprint(i))
					put(t, a, "site/pump", want[i])
				}
				time.Sleep(48 * time.Hour)
				mu.Lock()
				broken = false
				mu.Unlock()
				_, deaths, _ := b.got()
				if most := 20*3 + 48*6; deaths > most {
					t.Errorf("%d connections died in two days, want at most %d: suspects have to be tried ever more rarely", deaths, most)
				}
				put(t, a, "site/pump", "20")
				want = append(want, "20")
				time.Sleep(24 * time.Hour)
				arrived, _, _ := b.got()
				if len(arrived) != len(want) {
					t.Errorf("arrived: %v, want all of %v", arrived, want)
				}
				if st := a.Status(); st.Queue.Messages != 0 || len(st.Queue.Dropped) != 0 {
					t.Errorf("got %d waiting and dropped %v, want none", st.Queue.Messages, st.Queue.Dropped)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The only message that waits is set aside when sessions that stand without it die of it, and is kept while anything else may be
// the cause: a link that breaks at it, sessions that don't stand anyway, or another message that dies too.
func TestLonePoison(t *testing.T) {
	for name, tc := range map[string]struct {
		messages []string
		silent   bool          // the broker doesn't answer for it, instead of hanging up
		breaks   bool          // the link breaks whenever something is sent
		stands   time.Duration // no session stands for longer; 0: each does
		want     uint64        // set aside
	}{
		"the broker hangs up":           {messages: []string{"poison"}, want: 1},
		"the broker doesn't answer":     {messages: []string{"poison"}, silent: true, want: 1},
		"the link breaks":               {messages: []string{"poison"}, breaks: true},
		"no session stands":             {messages: []string{"poison"}, stands: 30 * time.Minute},
		"there is another that dies":    {messages: []string{"poison 1", "poison 2"}},
		"nobody has asked for a search": {messages: []string{"poison"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTouchy(func(payload string) bool { return poisonous(payload) && !tc.silent && !tc.breaks })
				if tc.silent {
					b.silent = poisonous
				}
				healthy := b.link.connect
				b.link.connect = func(ctx context.Context, r []agent.Resume, report agent.Report) (agent.Session, error) {
					if tc.breaks {
						fragile := newSession()
						go func() {
							select {
							case <-fragile.published:
								fragile.end(errLost)
							case <-fragile.done:
							}
						}()
						return fragile, nil
					}
					s, err := healthy(ctx, r, report)
					if tc.stands > 0 {
						time.AfterFunc(tc.stands, func() { s.(*session).end(errHungUp) })
					}
					return s, err
				}
				a, _, stop := run(t, b.link, func(c *agent.Config) {
					if withPoison(c); name == "nobody has asked for a search" {
						c.PoisonAfter = 0
					}
				})
				for _, payload := range tc.messages {
					put(t, a, "site/pump", payload)
				}
				time.Sleep(9 * time.Hour)
				if n := a.Status().Queue.Dropped[string(queue.ReasonPoison)]; n != 0 {
					t.Errorf("%d were set aside within 9 hours, want none yet", n)
				}
				time.Sleep(87 * time.Hour)
				st := a.Status()
				if n := st.Queue.Dropped[string(queue.ReasonPoison)]; n != tc.want {
					t.Errorf("%d were set aside in 4 days, want %d", n, tc.want)
				}
				if want := uint64(len(tc.messages)) - tc.want; uint64(st.Queue.Messages) != want {
					t.Errorf("%d wait, want %d", st.Queue.Messages, want)
				}
				if tc.want > 0 && st.Delivery.Delivered != 1 {
					t.Errorf("%d were delivered, want the loss receipt", st.Delivery.Delivered)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A message that MQTT can't carry at all needs no trial.
func TestUndeliverable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTouchy(never)
		inner := b.link.connect
		b.link.connect = func(ctx context.Context, r []agent.Resume, report agent.Report) (agent.Session, error) {
			s, err := inner(ctx, r, report)
			return picky{s.(*session)}, err
		}
		a, _, stop := run(t, b.link, withPoison)
		put(t, a, "site/pump", "poison")
		put(t, a, "site/pump", "1")
		time.Sleep(10 * time.Second)
		if arrived, _, _ := b.got(); len(arrived) != 1 {
			t.Errorf("arrived: %v, want the message behind it", arrived)
		}
		if got := a.Status().Queue.Dropped; got[string(queue.ReasonPoison)] != 1 {
			t.Errorf("dropped %v, want 1 as poison", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

type picky struct{ *session }

func (s picky) Publish(ctx context.Context, p agent.Parcel) (agent.Receipt, error) {
	if poisonous(string(p.Payload)) {
		return nil, fmt.Errorf("%w: a bad topic", agent.ErrUndeliverable)
	}
	return s.session.Publish(ctx, p)
}

// The attempts outlive the process.
func TestAttemptsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTouchy(poisonous)
		a, q, stop := run(t, b.link, withPoison)
		seq := put(t, a, "site/pump", "poison")
		time.Sleep(90 * time.Second) // two sessions, a minute apart
		if m, err := q.Get(seq); err != nil || m.Attempts != 2 {
			t.Errorf("got %d attempts, %v, want 2", m.Attempts, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Of a batch that the broker hangs up at only the message that is to blame is lost, wherever it stands.
func TestPoisonInABatchIsFound(t *testing.T) {
	for _, at := range []int{1, 3, 5} {
		t.Run(fmt.Sprint("in place ", at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTouchy(func(payload string) bool { return strings.Contains(payload, "venom") })
				a, q, stop := run(t, b.link, func(c *agent.Config) { withPoison(c); batching(c) })
				var want []string
				for i := 1; i <= 12; i++ {
					payload := fmt.Sprint("good ", i)
					if i == at {
						payload = "venom"
					} else {
						want = append(want, payload)
					}
					accept(t, a, queue.Message{Topic: "site/pump", QoS: 1, Payload: []byte(payload)})
				}
				time.Sleep(12 * time.Hour)
				arrived, deaths, _ := b.got()
				var got []string
				for _, message := range arrived {
					m, err := envelope.NewDecoder().Decode([]byte(message))
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range m.Readings {
						if strings.HasPrefix(string(r.Payload), "good") { // else a loss receipt
							got = append(got, string(r.Payload))
						}
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("arrived (-want +got):\n%s", diff)
				}
				st := a.Status()
				if st.Queue.Messages != 0 || st.Queue.Dropped[string(queue.ReasonPoison)] != 1 || deaths > 8 {
					t.Errorf("got %d waiting, dropped %v after %d lost sessions; want none, and 1 as poison after 8 at most", st.Queue.Messages, st.Queue.Dropped, deaths)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				if q.Stats().Waiting != 0 {
					t.Error("the queue isn't empty")
				}
			})
		})
	}
}
