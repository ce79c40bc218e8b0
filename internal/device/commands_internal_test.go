package device

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/keep"
)

// The spacing of commanded restarts outlives the agent, and no wrong clock stretches it.
func TestRemoteRestartsAreSpaced(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "remote-restart")
	check := func(what string, at time.Time, want time.Duration) {
		t.Helper()
		if got, err := remoteWait(path, at); err != nil || max(got, 0) != want {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
	}
	check("none before", now, 0)
	if err := keep.Save(path, now); err != nil {
		t.Fatal(err)
	}
	check("3 minutes later", now.Add(3*time.Minute), 7*time.Minute)
	check("11 minutes later", now.Add(11*time.Minute), 0)
	early := now.AddDate(-20, 0, 0) // the clock was set back
	check("20 years earlier", early, remoteSpacing)
	check("4 minutes after that", early.Add(4*time.Minute), 6*time.Minute)
}
