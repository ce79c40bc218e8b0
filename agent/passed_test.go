package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// TestSuspectIsNamed: who looks at the status learns which message it is, and what to look at.
func TestSuspectIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTouchy(poisonous)
		a, q, stop := run(t, b.link, withPoison)
		put(t, a, "site/pump", "1")
		if st := a.Status(); strings.Contains(st.Reason, "passed over") || len(st.Delivery.PassedOver) != 0 {
			t.Errorf("before: %q, %+v", st.Reason, st.Delivery.PassedOver)
		}
		put(t, a, "site/valve", "poison")
		time.Sleep(2 * time.Hour) // the broker still works, but nothing else comes that would show it
		st := a.Status()
		if got := st.Delivery.PassedOver; len(got) != 1 || got[0].Seq != 2 || got[0].Topic != "site/valve" || got[0].Attempts < 3 ||
			got[0].ID != fmt.Sprintf("%x-2", q.Epoch()) || time.Since(got[0].Since) < time.Hour {
			t.Errorf("got %+v, want message 2 for more than an hour", got)
		}
		if st.Verdict != agent.VerdictOK || !strings.Contains(st.Reason, "message 2 on site/valve is passed over for 1 h") || !strings.Contains(st.Reason, "queue show 2") {
			t.Errorf("verdict: %s, %q", st.Verdict, st.Reason)
		}
		if err := q.Drop("purged", 2); err != nil {
			t.Fatal(err)
		}
		if st := a.Status(); strings.Contains(st.Reason, "passed over") || len(st.Delivery.PassedOver) != 0 {
			t.Errorf("purged: %q, %+v", st.Reason, st.Delivery.PassedOver)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
