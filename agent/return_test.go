package agent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// parting runs an agent over two sessions, the first of which has a message in flight.
func parting(t *testing.T, until time.Time, part func(*agent.Agent, *receipt)) {
	first, second := newSession(), newSession()
	first.until = until
	sessions := []*session{first, second}
	l := newLink()
	l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) {
		s := sessions[0]
		sessions = sessions[1:]
		return s, nil
	}
	a, _, stop := run(t, l, nil)
	put(t, a, "a", "1")
	r := <-first.published
	part(a, r)
	begin := time.Now()
	put(t, a, "a", "2")
	<-second.published
	if took := time.Since(begin); took != 0 {
		t.Errorf("the next session came after %v, want at once", took)
	}
	if len(first.published) != 0 {
		t.Error("the first session was given another message")
	}
	if got := a.Status(); len(got.Outages) != 1 || got.Outages[0].Until == nil || got.Link.Sessions != 2 {
		t.Errorf("got outages %+v and %d sessions, want none beside the start, and 2", got.Outages, got.Link.Sessions)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The session with a broker that isn't the first ends when its time is over and nothing is in flight any more.
func TestReturnWaitsForWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parting(t, time.Now().Add(time.Hour), func(a *agent.Agent, r *receipt) {
			time.Sleep(2 * time.Hour)
			if got := a.Status(); !got.Link.Connected || got.Link.Sessions != 1 {
				t.Fatal("the session was parted from although a message is in flight")
			}
			r.finish(nil)
			synctest.Wait()
		})
	})
}

func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parting(t, time.Time{}, func(a *agent.Agent, r *receipt) {
			a.Reconnect()
			time.Sleep(5 * time.Second) // as at a stop, the proof of what is in flight gets a chance
			synctest.Wait()
			if got := a.Status().Link.Sessions; got != 2 {
				t.Fatalf("got %d sessions, want a second one", got)
			}
		})
	})
}
