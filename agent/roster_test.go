package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// A source that can't listen makes the agent neither fine nor ready, although the link stands.
func TestSourceThatCantListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) { return newSession(), nil }
		var taken atomic.Bool
		taken.Store(true)
		a, _, stop := run(t, l, func(c *agent.Config) {
			c.Settle = 5 * time.Second
			c.Sources = []agent.Source{
				{Name: "http", Run: func(ctx context.Context) error { <-ctx.Done(); return nil }},
				{Name: "mqtt", Run: func(ctx context.Context) error {
					if taken.Load() {
						return errors.New("source: sources.mqtt.listen: 127.0.0.1:1884 is in use by another program")
					}
					<-ctx.Done()
					return nil
				}},
			}
		})
		time.Sleep(time.Minute)
		got := a.Status()
		if want := "mqtt: sources.mqtt.listen: 127.0.0.1:1884 is in use by another program; connected for"; got.Verdict != agent.VerdictBlocked || !strings.HasPrefix(got.Reason, want) {
			t.Errorf("got %s, %q, want blocked, %q", got.Verdict, got.Reason, want)
		}
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Standing(soon); err == nil {
			t.Error("the agent says that all its sources stand")
		}
		taken.Store(false)
		if err := a.Standing(t.Context()); err != nil {
			t.Error(err)
		}
		if got := a.Status(); got.Verdict != agent.VerdictOK {
			t.Errorf("once the port is free: got %s, %q, want ok", got.Verdict, got.Reason)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
