package agent_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// TestNetworkTimeCorrectsStamps: the machine's clock was never set. What was taken in before the network told the time gets its right
// stamp, and a date that can't be is not believed.
func TestNetworkTimeCorrectsStamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		l.connect = func(ctx context.Context, _ []agent.Resume, _ agent.Report) (agent.Session, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begun := time.Now() // 2000: the machine has no battery
		right := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
		var told atomic.Pointer[time.Time]
		bogus := time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)
		told.Store(&bogus)
		var q *queue.Queue
		a, _, stop := run(t, l, func(c *agent.Config) {
			q = c.Queue
			c.NetworkTime = func() (time.Time, string) { return *told.Load(), "network" }
		})
		time.Sleep(time.Minute)
		put(t, a, "a", "1")
		time.Sleep(time.Minute)
		first := func() queue.Message {
			m, err := q.Get(1)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		if m := first(); m.Trust != queue.TrustUnknown {
			t.Errorf("before: trust %v, stamp %v", m.Trust, m.Time)
		}
		told.Store(&right)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if m := first(); m.Trust != queue.TrustKnown || m.Time.Sub(right.Add(begun.Sub(time.Now())+time.Minute)).Abs() > 15*time.Second {
			t.Errorf("after: trust %v, stamp %v", m.Trust, m.Time)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
