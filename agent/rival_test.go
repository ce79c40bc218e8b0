package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// TestRivalIsSuspected: a broker that hangs up soon after each connection has probably let in another device with the same client id.
// A connection that is lost, or that stood for long, raises no such suspicion.
func TestRivalIsSuspected(t *testing.T) {
	hungUp := fmt.Errorf("mqttconn: session: connection to broker.example:1883 lost: %w", io.EOF)
	for name, tc := range map[string]struct {
		err   error
		stood time.Duration
		want  bool
	}{
		"hung up at once":    {hungUp, 20 * time.Second, true},
		"hung up after long": {hungUp, 10 * time.Minute, false},
		"lost":               {errors.New("no answer to the ping"), 20 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				sessions := 0
				l.connect = func(ctx context.Context, _ []agent.Resume, _ agent.Report) (agent.Session, error) {
					if sessions++; sessions > 3 {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					s := newSession()
					time.AfterFunc(tc.stood, func() { s.end(tc.err) })
					return s, nil
				}
				a, _, stop := run(t, l, nil)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				outages := a.Status().Outages
				last := outages[len(outages)-1]
				for _, o := range outages {
					if o.From.After(last.From) {
						last = o
					}
				}
				if got := strings.Contains(last.Why, "does another device use the same client id?"); got != tc.want {
					t.Errorf("after three sessions the outage is explained by %q", last.Why)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
