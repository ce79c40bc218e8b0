package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/plan"
)

func minutely(payload int) []plan.Flow {
	return []plan.Flow{{Topic: "site/pump-07/pressure", Every: time.Minute, Payload: payload}}
}

// The measured cost of a lone message of 137 bytes at QoS 1: 137 + 40, 4 + 40 and a bare acknowledgement.
func TestALoneMessage(t *testing.T) {
	r := plan.Of(plan.Input{Flows: []plan.Flow{{Topic: "site/ttttttttttttttttttttttttt", Every: time.Minute, Payload: 100}}, QoS: 1})
	if got := float64(r.Total) / float64(r.Messages); got < 260.9 || got > 261.1 {
		t.Errorf("%.1f bytes a message, want 261", got)
	}
}

func TestWhatMakesItCheaperOrDearer(t *testing.T) {
	base := plan.Input{Flows: minutely(12), QoS: 1, Keepalive: 540 * time.Second, Reconnects: 1, QueueBytes: 64 << 20}
	cost := func(change func(*plan.Input)) int64 {
		in := base
		change(&in)
		return plan.Of(in).Total
	}
	plain := cost(func(*plan.Input) {})
	for name, tc := range map[string]struct {
		change func(*plan.Input)
		dearer bool
	}{
		"TLS":        {func(in *plan.Input) { in.TLS = true }, true},
		"QoS 2":      {func(in *plan.Input) { in.QoS = 2 }, true},
		"reconnects": {func(in *plan.Input) { in.Reconnects = 50 }, true},
		"QoS 0":      {func(in *plan.Input) { in.QoS = 0 }, false},
		"batches":    {func(in *plan.Input) { in.BatchMessages, in.BatchBytes, in.BatchAge = 50, 4096, 10*time.Minute }, false},
	} {
		if got := cost(tc.change); got > plain != tc.dearer {
			t.Errorf("%s: %d bytes a month beside %d", name, got, plain)
		}
	}
}

func TestPingsInSilencesOnly(t *testing.T) {
	in := plan.Input{Flows: minutely(12), QoS: 1, Keepalive: 540 * time.Second}
	if got := plan.Of(in).Up.Keepalive; got != 0 {
		t.Errorf("%d bytes of pings beside a reading a minute, want none", got)
	}
	in.Flows[0].Every = time.Hour
	if got, want := plan.Of(in).Up.Keepalive, int64(6*720*2); got != want {
		t.Errorf("%d bytes of pings beside a reading an hour, want 6 an hour: %d", got, want)
	}
}

func TestStorage(t *testing.T) {
	in := plan.Input{Flows: minutely(12), QueueBytes: 1 << 20, QueueAge: 30 * 24 * time.Hour}
	if r := plan.Of(in); r.BufferBound != "bytes" || r.BufferDays < 10.5 || r.BufferDays > 11.5 {
		t.Errorf("1 MiB holds %.1f days, bound by %s; want 11 by bytes", r.BufferDays, r.BufferBound)
	}
	in.QueueBytes = 1 << 30
	if r := plan.Of(in); r.BufferBound != "age" || r.BufferDays != 30 {
		t.Errorf("1 GiB holds %.1f days, bound by %s; want 30 by age", r.BufferDays, r.BufferBound)
	}
	in.Flows[0].Every, in.CommitWait = 2*time.Millisecond, 20*time.Millisecond // 11 share a commit
	if got := plan.Of(in).FlashEach; got < 1900 || got > 2300 {
		t.Errorf("%d bytes of flash a message, want about 2 000 as measured for ten a commit", got)
	}
}

func Example() {
	r := plan.Of(plan.Input{
		Flows: []plan.Flow{{Topic: "site/pump-07/pressure", Every: time.Minute, Payload: 12}},
		QoS:   1, Reconnects: 1, QueueBytes: 64 << 20, QueueAge: 30 * 24 * time.Hour,
	})
	fmt.Printf("%.1f MB a month, %.0f days of buffer\n", float64(r.Total)/1e6, r.BufferDays)
	// Output: 7.1 MB a month, 30 days of buffer
}
