package uplink

import (
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/keep"
)

// bestTime is the present as far as it is known, for looking at certificates: a board without a battery starts in 1970, where
// none is valid yet. The latest of what is known counts, since a clock that was never set is behind: the host's clock, when the
// program was built, when the agent last ran, and what the mobile network says. So an expired certificate is refused
// as well as can be, and verification is never off.
type bestTime struct {
	path    string
	network func() (time.Time, string) // nil: there is none
	built   time.Time

	started time.Time
	mu      sync.Mutex // guards what follows
	seen    time.Time  // the latest time at the start: floor of the present, counted on from started
}

func openBestTime(cfg *config.Config) (*bestTime, error) {
	b := &bestTime{path: filepath.Join(cfg.DataDir, "clock"), built: buildTime(), started: time.Now()}
	err := keep.Load(b.path, &b.seen)
	return b, err
}

// now is the latest of all that is known.
func (b *bestTime) now() time.Time {
	now := time.Now()
	b.mu.Lock()
	floor := b.seen
	b.mu.Unlock()
	if b.built.After(floor) {
		floor = b.built
	}
	best := floor.Add(now.Sub(b.started)) // by the clock that doesn't jump
	if now.After(best) {
		best = now
	}
	if b.network != nil {
		if t, _ := b.network(); t.After(best) {
			best = t
		}
	}
	return best
}

// save notes the present for the next start. A flash is spared: an hour more or less is nothing to a certificate.
func (b *bestTime) save() error {
	now := b.now().UTC().Truncate(time.Hour)
	return keep.Save(b.path, now)
}

// buildTime is when the sources of the program were committed, as far as the build recorded it.
func buildTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
