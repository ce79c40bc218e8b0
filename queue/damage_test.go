package queue_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// Whatever happens to the bytes, the queue opens, what it hands out was put in, and damage is either found or has hit
// nothing that is in use.
func TestAnyDamage(t *testing.T) {
	pristine := filepath.Join(t.TempDir(), "queue.db")
	want := fill(t, pristine, 600)
	kinds := map[string]func(*rand.Rand, []byte) []byte{
		"bits":      func(r *rand.Rand, b []byte) []byte { flip(r, b, 1+r.IntN(20)); return b },
		"zeroed":    func(r *rand.Rand, b []byte) []byte { clear(b[4096*r.IntN(len(b)/4096):][:4096]); return b },
		"garbage":   func(r *rand.Rand, b []byte) []byte { noise(r, b[512*r.IntN(len(b)/512):][:512]); return b },
		"truncated": func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] },
		"no metas":  func(r *rand.Rand, b []byte) []byte { clear(b[:8192]); return b },
		"swapped":   func(r *rand.Rand, b []byte) []byte { swapPages(r, b); return b },
		"emptied":   func(r *rand.Rand, b []byte) []byte { return nil },
	}
	rounds := 12
	if long() {
		rounds = 400
	}
	for name, damage := range kinds {
		t.Run(name, func(t *testing.T) {
			for seed := range rounds {
				r := rand.New(rand.NewPCG(uint64(seed), 1))
				path := filepath.Join(t.TempDir(), "queue.db")
				copyFile(t, pristine, path)
				edit(t, path, func(b []byte) []byte { return damage(r, b) })
				unclean(t, path)
				openDamaged(t, path, want, seed)
			}
		})
	}
}

func openDamaged(t *testing.T, path string, want map[string]bool, seed int) {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	got := set(t, q)
	rec := q.Recovery()
	for w := range got {
		// Old pages may bring released messages back; "0-", "10-" … were.
		if !want[w] && (rec == nil || !strings.Contains(strings.SplitN(w, "-", 2)[0], "0")) {
			t.Errorf("seed %d: %q came out and was never put in", seed, w)
		}
	}
	if rec == nil && len(got) != len(want) {
		t.Errorf("seed %d: %d of %d messages are left, and nothing was noticed", seed, len(got), len(want))
	}
	if rec != nil && !rec.More && rec.Saved+rec.Lost < len(want) {
		t.Errorf("seed %d: of %d messages %d were saved and %d are counted as lost", seed, len(want), rec.Saved, rec.Lost)
	}
	if rec != nil && len(damagedFiles(t, path)) != 1 {
		t.Errorf("seed %d: the damaged file was not kept", seed)
	}
	put(t, q, text(queue.Normal, "new")...)
	q.Close()
	check(t, path)
}

func flip(r *rand.Rand, b []byte, n int) {
	for range n {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
}

func noise(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

func swapPages(r *rand.Rand, b []byte) {
	x, y := b[4096*r.IntN(len(b)/4096):][:4096], b[4096*r.IntN(len(b)/4096):][:4096]
	for i := range x {
		x[i], y[i] = y[i], x[i]
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
