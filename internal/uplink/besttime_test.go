package uplink

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
)

// TestBestTime: the bubble's clock begins in 2000, as a board's without a battery in 1970.
func TestBestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		cfg.DataDir = t.TempDir()
		open := func() *bestTime {
			t.Helper()
			b, err := openBestTime(cfg)
			if err != nil {
				t.Fatal(err)
			}
			b.built = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			return b
		}
		want := func(b *bestTime, want time.Time) {
			t.Helper()
			if got := b.now(); !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		b := open()
		want(b, b.built)
		time.Sleep(time.Hour)
		want(b, b.built.Add(time.Hour))
		told := time.Date(2027, 1, 1, 12, 30, 0, 0, time.UTC)
		b.network = func() (time.Time, string) { return told, "network" }
		want(b, told)
		if err := b.save(); err != nil {
			t.Fatal(err)
		}
		b = open() // without the network's word, and the host's clock still in 2000
		want(b, told.Truncate(time.Hour))
		b.network = func() (time.Time, string) { return time.Time{}, "" }
		time.Sleep(30 * 365 * 24 * time.Hour) // the host's clock is ahead of all
		b.seen = time.Time{}
		b.built = time.Time{}
		want(b, time.Now())
	})
}
