package agent_test

import (
	"testing"

	"github.com/fieldpost/fieldpost/agent"
)

func TestLostWords(t *testing.T) {
	for _, tc := range []struct {
		lost, unsure uint64
		more         bool
		want         string
	}{
		{0, 0, false, "0 lost"},
		{10, 0, false, "10 lost"},
		{10, 10, false, "at most 10 lost"},
		{10, 7, false, "at least 3 and at most 10 lost"},
		{10, 7, true, "at least 3 lost"},
		{10, 10, true, "an unknown number lost"},
		{0, 0, true, "an unknown number lost"},
	} {
		r := agent.RecoveryStatus{Lost: tc.lost, Unsure: tc.unsure, More: tc.more}
		if got := r.LostWords(); got != tc.want {
			t.Errorf("%d lost, %d of them unsure, more: %v: got %q, want %q", tc.lost, tc.unsure, tc.more, got, tc.want)
		}
	}
}
