package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

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
