package agent_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// TestNetworkGoesAndComesBack: the session breaks while there is no network. The status says so all the time, whatever the session ended
// in, and the next attempt doesn't wait for the time that is meant for brokers.
func TestNetworkGoesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		sessions := []*session{newSession(), newSession()}
		var reports atomic.Pointer[agent.Report]
		var n atomic.Int32
		l.connect = func(_ context.Context, _ []agent.Resume, r agent.Report) (agent.Session, error) {
			r(agent.StepTCP, agent.StepWaiting, "connecting")
			reports.Store(&r)
			return sessions[n.Add(1)-1], nil
		}
		report := func(step agent.Step, state agent.StepState, why string) { (*reports.Load())(step, state, why) }
		a, _, stop := run(t, l, func(c *agent.Config) {
			c.Retry = func(error, time.Duration) time.Duration { return time.Hour }
		})
		time.Sleep(time.Minute)
		report(agent.StepRegistration, agent.StepWaiting, "no network")
		time.Sleep(2 * time.Minute)
		sessions[0].end(errLost)
		time.Sleep(time.Minute)
		if st := a.Status(); st.Verdict != agent.VerdictConnecting || st.Link.Steps[1].State != agent.StepWaiting || st.Link.Steps[2].State != agent.StepIdle {
			t.Errorf("without a network: %s, %+v", st.Verdict, st.Link.Steps)
		}
		want(t, a, agent.VerdictConnecting, "SIM ready, no network for 3 min; last registered "+time.Now().Add(-3*time.Minute).Format("15:04")+"; nothing waits")
		report(agent.StepTCP, agent.StepWaiting, "connecting")
		if got := a.Status().Link.Steps[1].State; got != agent.StepWaiting {
			t.Errorf("an attempt to reach the broker has made the registration %s", got)
		}
		report(agent.StepRegistration, agent.StepOK, "registered")
		synctest.Wait()
		if st := a.Status(); n.Load() != 2 || !st.Link.Connected {
			t.Errorf("after the network was back: %d attempts, connected %v; want the second at once", n.Load(), st.Link.Connected)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestReturningNetworkEndsWaits, but only those that it can cure: coverage that comes and goes is no reason to ask a broker again that
// refuses.
func TestReturningNetworkEndsWaits(t *testing.T) {
	failed := errors.New("it failed")
	tests := map[string]struct {
		err  error
		want int
	}{
		"port":        {&agent.LinkError{Cause: agent.CausePort, Err: failed}, 2},
		"no coverage": {&agent.LinkError{Cause: agent.CauseSearching, Err: failed}, 2},
		"context":     {&agent.LinkError{Cause: agent.CauseContext, Err: failed}, 2},
		"TCP":         {&agent.LinkError{Cause: agent.CauseTCP, Err: failed}, 2},
		"lost":        {errLost, 2},
		"PIN":         {&agent.LinkError{Cause: agent.CausePIN, Err: failed}, 1},
		"credentials": {&agent.LinkError{Cause: agent.CauseCredentials, Err: failed}, 1},
		"certificate": {&agent.LinkError{Cause: agent.CauseTLS, Err: failed}, 1},
		"broker":      {&agent.LinkError{Cause: agent.CauseMQTT, Err: failed}, 1},
		"hung up":     {&agent.LinkError{Cause: agent.CauseLost, HungUp: true, Err: failed}, 1},
		"unanswered":  {&agent.LinkError{Cause: agent.CauseLost, Unanswered: 1, Err: failed}, 1},
		"unknown":     {failed, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				var reports atomic.Pointer[agent.Report]
				l.connect = func(_ context.Context, _ []agent.Resume, r agent.Report) (agent.Session, error) {
					reports.Store(&r)
					return nil, tt.err
				}
				a, _, stop := run(t, l, func(c *agent.Config) {
					c.Retry = func(error, time.Duration) time.Duration { return time.Hour }
				})
				time.Sleep(time.Minute)
				report := *reports.Load()
				report(agent.StepRegistration, agent.StepWaiting, "no network")
				time.Sleep(time.Minute)
				report(agent.StepRegistration, agent.StepOK, "registered")
				synctest.Wait()
				if got := len(l.attempts); got != tt.want {
					t.Errorf("got %d attempts, want %d", got, tt.want)
				}
				before := len(l.attempts)
				a.Kick()
				synctest.Wait()
				if got := len(l.attempts); got != before+1 {
					t.Errorf("got %d attempts after a person asked for one, want %d", got, before+1)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
