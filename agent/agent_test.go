package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

func TestReleasedOnlyOnProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newSession(), newSession()
		sessions := []*session{first, second}
		l := newLink()
		l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) {
			s := sessions[0]
			sessions = sessions[1:]
			return s, nil
		}
		a, q, stop := run(t, l, nil)

		one, two := put(t, a, "a", "1"), put(t, a, "a", "2")
		(<-first.published).finish(nil)
		<-first.published
		synctest.Wait()
		if got := a.Status(); got.Queue.Messages != 1 || got.Delivery.Delivered != 1 || got.Delivery.InFlight != 1 {
			t.Errorf("one of two proved: got %d waiting, %d delivered, %d in flight; want 1, 1, 1",
				got.Queue.Messages, got.Delivery.Delivered, got.Delivery.InFlight)
		}
		if _, err := q.Get(one); err == nil {
			t.Errorf("message %d was proved but is still in the queue", one)
		}

		first.end(errLost)
		synctest.Wait()
		if _, err := q.Get(two); err != nil {
			t.Fatalf("message %d was released without proof: %v", two, err)
		}
		again := <-second.published // after the minute that Retry asks for
		if again.Seq() != two {
			t.Fatalf("the next session begins with message %d, want %d", again.Seq(), two)
		}
		again.finish(nil)
		synctest.Wait()
		got := a.Status()
		if got.Queue.Messages != 0 || got.Delivery.Delivered != 2 || got.Delivery.Repeated != 1 || got.Delivery.InFlight != 0 {
			t.Errorf("after the repeat: got %+v and %d waiting; want 2 delivered, 1 repeated, none waiting", got.Delivery, got.Queue.Messages)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestResumedMessagesAreNotPublishedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		s := newSession()
		attempt := 0
		l.connect = func(_ context.Context, resume []agent.Resume, _ agent.Report) (agent.Session, error) {
			if attempt++; attempt == 1 {
				return nil, errors.New("not yet")
			}
			for _, r := range resume {
				s.resumed = append(s.resumed, &receipt{message: r.Message, done: make(chan struct{})})
			}
			return s, nil
		}
		a, q, stop := run(t, l, nil)
		one, two := put(t, a, "a", "1"), put(t, a, "a", "2")
		if err := q.SaveFlight(t.Context(), queue.Flight{Seq: one, PacketID: 7}, true); err != nil {
			t.Fatal(err)
		}
		if got := <-s.published; got.Seq() != two {
			t.Fatalf("published message %d, want %d: the broker's session still knows %d", got.Seq(), two, one)
		}
		s.resumed[0].(*receipt).finish(nil)
		synctest.Wait()
		if _, err := q.Get(one); err == nil {
			t.Error("the resumed message was proved but is still in the queue")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopWaitsForProof(t *testing.T) {
	for _, tc := range []struct {
		name  string
		prove bool
		left  uint64
		took  time.Duration
	}{
		{"the proof comes", true, 0, time.Second},
		{"it doesn't", false, 1, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSession()
				l := newLink()
				l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) { return s, nil }
				a, q, stop := run(t, l, func(c *agent.Config) { c.StopWait = 5 * time.Second })
				put(t, a, "a", "1")
				r := <-s.published
				if tc.prove {
					go func() {
						time.Sleep(time.Second)
						r.finish(nil)
					}()
				}
				begin := time.Now()
				stats := make(chan uint64, 1)
				go func() { <-s.Done(); stats <- uint64(q.Stats().Waiting) }()
				if err := stop(); err != nil {
					t.Error(err)
				}
				if got := <-stats; got != tc.left {
					t.Errorf("got %d messages left in the queue, want %d", got, tc.left)
				}
				if got := time.Since(begin); got != tc.took {
					t.Errorf("the stop took %v, want %v", got, tc.took)
				}
			})
		})
	}
}

func TestSourcesStopBeforeTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		l := newLink()
		l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) { return s, nil }
		runs := 0
		var sourceEnded, sessionEnded time.Time
		_, _, stop := run(t, l, func(c *agent.Config) {
			c.Sources = []agent.Source{{Name: "shaky", Run: func(ctx context.Context) error {
				if runs++; runs < 3 {
					return errors.New("the port is taken")
				}
				<-ctx.Done()
				time.Sleep(time.Second)
				sourceEnded = time.Now()
				return nil
			}}}
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if runs != 3 {
			t.Errorf("a source that fails was started %d times, want 3", runs)
		}
		go func() { <-s.Done(); sessionEnded = time.Now() }()
		if err := stop(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if !sessionEnded.After(sourceEnded.Add(-time.Nanosecond)) || sourceEnded.IsZero() {
			t.Errorf("the session ended at %v, before the source at %v", sessionEnded, sourceEnded)
		}
	})
}

var errBetween = errors.New("stop between two steps")

func TestEveryStateHasAWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		s := newSession()
		outcome := make(chan error)
		l.connect = func(ctx context.Context, _ []agent.Resume, report agent.Report) (agent.Session, error) {
			report(agent.StepRegistration, agent.StepWaiting, "searching for a network")
			select {
			case err := <-outcome:
				if err == errBetween {
					report(agent.StepRegistration, agent.StepOK, "")
					err = <-outcome
				}
				if err != nil {
					return nil, err
				}
				return s, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		a, _, stop := run(t, l, nil)
		put(t, a, "a", "1")
		time.Sleep(12 * time.Minute)
		want(t, a, agent.VerdictConnecting, "SIM ready, searching for a network for 12 min; never registered since the start; 1 message waits")

		outcome <- &agent.LinkError{Cause: agent.CausePIN, Err: errors.New("the SIM asks for a PIN and none is set")}
		synctest.Wait()
		want(t, a, agent.VerdictBlocked, "the SIM asks for a PIN and none is set; next attempt in 1 min; never connected since the start; 1 message waits")

		// Between two steps of the next attempt the last one's error says nothing.
		a.Kick()
		outcome <- errBetween
		synctest.Wait()
		want(t, a, agent.VerdictBlocked, "registered, connecting again; never connected since the start; 1 message waits")
		outcome <- nil
		(<-s.published).finish(nil)
		time.Sleep(time.Hour)
		want(t, a, agent.VerdictOK, "connected for 1 h; nothing waits")
		if got := a.Status().Outages; len(got) != 1 || got[0].Until == nil {
			t.Errorf("got outages %+v, want the one before the first session, ended", got)
		}

		s.end(errLost)
		synctest.Wait()
		if got := a.Status(); got.Link.Connected || len(got.Outages) != 2 || got.Outages[0].Cause != agent.CauseLost || got.Outages[0].Until != nil {
			t.Errorf("after the loss: got connected %v, outages %+v", got.Link.Connected, got.Outages)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestStandingStill: a session that confirms nothing isn't fine, although nothing has broken yet.
func TestStandingStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		l := newLink()
		l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) { return s, nil }
		a, _, stop := run(t, l, nil)
		time.Sleep(time.Hour)
		put(t, a, "a", "1")
		put(t, a, "a", "2")
		first := <-s.published
		time.Sleep(40 * time.Second)
		want(t, a, agent.VerdictOK, "connected for 1 h; 2 messages wait")
		first.finish(nil)
		time.Sleep(40 * time.Second)
		want(t, a, agent.VerdictOK, "connected for 1 h 1 min; 1 message waits")
		time.Sleep(20 * time.Second)
		want(t, a, agent.VerdictConnecting, "connected, but no delivery was confirmed for 1 min; 1 message waits")
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func want(t *testing.T, a *agent.Agent, verdict agent.Verdict, reason string) {
	t.Helper()
	if got := a.Status(); got.Verdict != verdict || got.Reason != reason {
		t.Errorf("got %s, %q\nwant %s, %q", got.Verdict, got.Reason, verdict, reason)
	}
}

func TestStepsFollowTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		hold := make(chan struct{})
		l.connect = func(ctx context.Context, _ []agent.Resume, report agent.Report) (agent.Session, error) {
			report(agent.StepTCP, agent.StepWaiting, "connecting")
			<-hold
			report(agent.StepRegistration, agent.StepWaiting, "lost the cell")
			<-ctx.Done()
			return nil, ctx.Err()
		}
		a, _, stop := run(t, l, nil)
		synctest.Wait()
		states := func() string {
			var list []string
			for _, s := range a.Status().Link.Steps {
				list = append(list, string(s.State))
			}
			return strings.Join(list, " ")
		}
		if got, want := states(), "ok ok waiting idle"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		close(hold)
		synctest.Wait()
		if got, want := states(), "ok waiting idle idle"; got != want {
			t.Errorf("after the cell was lost: got %s, want %s", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAcceptRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		l.connect = func(ctx context.Context, _ []agent.Resume, _ agent.Report) (agent.Session, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		wildcard := errors.New("topic has a wildcard")
		a, _, stop := run(t, l, func(c *agent.Config) {
			c.Sources = append(c.Sources, agent.Source{Name: "x",
				Run:    func(ctx context.Context) error { <-ctx.Done(); return nil },
				Status: func() agent.SourceStatus { return agent.SourceStatus{Name: "x", Refused: 3} }})
			c.Check = func(m queue.Message) error {
				if strings.Contains(m.Topic, "#") {
					return wildcard
				}
				return nil
			}
		})
		good, bad := queue.Message{Topic: "a", Payload: []byte("1")}, queue.Message{Topic: "a/#"}
		if _, err := a.Accept(t.Context(), good, bad); !errors.Is(err, wildcard) {
			t.Errorf("got %v, want %v", err, wildcard)
		}
		put(t, a, "a", "1")
		if _, err := a.Take(t.Context(), bad); !errors.Is(err, wildcard) { // a source's, which counts by itself
			t.Errorf("got %v, want %v", err, wildcard)
		}
		got := a.Status()
		if got.Queue.Messages != 1 || got.Delivery.Accepted != 1 || got.Delivery.Refused != 2+3 {
			t.Errorf("got %d stored, %d accepted, %d refused; want 1, 1 and 5: a batch is taken whole or not at all, and sources count by themselves",
				got.Queue.Messages, got.Delivery.Accepted, got.Delivery.Refused)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 60 * time.Second: "1 min", 95 * time.Second: "1 min 35 s",
		2*time.Hour + 10*time.Minute: "2 h 10 min", 49 * time.Hour: "2 d 1 h",
	} {
		if got := agent.Span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
