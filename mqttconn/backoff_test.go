package mqttconn_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestBackoffStaysWithinThePaceOfItsCause(t *testing.T) {
	tests := []struct {
		cause       mqttconn.Cause
		least, most time.Duration
	}{
		{mqttconn.CauseNetwork, 10 * time.Second, 125 * time.Second},
		{mqttconn.CauseSilent, 10 * time.Second, 125 * time.Second},
		{mqttconn.CauseDNS, 10 * time.Second, 125 * time.Second},
		{mqttconn.CauseUnavailable, 30 * time.Second, 10 * time.Minute},
		{mqttconn.CauseProtocol, 10 * time.Minute, time.Hour},
		{mqttconn.CauseCertificate, 45 * time.Minute, 75 * time.Minute},
		{mqttconn.CauseCredentials, time.Hour, 6 * time.Hour},
		{mqttconn.CauseIdentifier, time.Hour, 6 * time.Hour},
	}
	for _, tt := range tests {
		random := rand.New(rand.NewPCG(1, 2))
		b := mqttconn.Backoff{Rand: random.Float64}
		var longest time.Duration
		for i := range 1000 {
			got := b.Next(tt.cause, 0)
			if got < tt.least || got > tt.most {
				t.Fatalf("%s, wait %d: got %v, want %v to %v", tt.cause, i, got, tt.least, tt.most)
			}
			longest = max(longest, got)
		}
		if longest < tt.most*9/10 {
			t.Errorf("%s: longest wait %v never comes near %v", tt.cause, longest, tt.most)
		}
	}
}

func TestBackoffGrowsUntilASessionWasStable(t *testing.T) {
	b := mqttconn.Backoff{Rand: func() float64 { return 0.999 }, Stable: 10 * time.Minute}
	next := func(lasted time.Duration) time.Duration {
		return b.Next(mqttconn.CauseNetwork, lasted).Round(time.Second)
	}
	steps := []struct {
		lasted, want time.Duration
	}{
		{0, 40 * time.Second},
		{0, 120 * time.Second},
		{time.Minute, 125 * time.Second}, // connected, but not for long enough
		{9 * time.Minute, 125 * time.Second},
		{10 * time.Minute, 40 * time.Second},
		{0, 120 * time.Second},
	}
	for i, step := range steps {
		if got := next(step.lasted); got != step.want {
			t.Errorf("wait %d after %v: got %v, want %v", i, step.lasted, got, step.want)
		}
	}
	if got := b.Next(mqttconn.CauseCredentials, 0); got < time.Hour {
		t.Errorf("another cause must go at its own pace: got %v", got)
	}
	if got := next(0); got != 40*time.Second {
		t.Errorf("and the first begins anew: got %v, want 40s", got)
	}
}
