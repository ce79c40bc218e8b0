package agent

import (
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

func TestTrust(t *testing.T) {
	for _, tc := range []struct {
		year   int
		synced bool
		want   queue.Trust
	}{
		{1970, false, queue.TrustUnknown}, {1970, true, queue.TrustUnknown}, {2004, false, queue.TrustUnknown},
		{2026, false, queue.TrustGuessed}, {2026, true, queue.TrustKnown},
	} {
		if got := trustOf(time.Date(tc.year, 6, 1, 0, 0, 0, 0, time.UTC), tc.synced); got != tc.want {
			t.Errorf("in %d, synced %v: got %v, want %v", tc.year, tc.synced, got, tc.want)
		}
	}
}
