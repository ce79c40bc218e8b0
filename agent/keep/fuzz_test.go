package keep_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/agent/keep"
)

// FuzzLoad reads anything as a kept file: it is taken as it was saved, or set aside and not used.
func FuzzLoad(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	if err := keep.Save(path, map[string]int{"a": 1}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "kept")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var v map[string]int
		if err := keep.Load(path, &v); err != nil {
			if len(v) > 0 {
				t.Errorf("used %v of a damaged file: %v", v, err)
			}
			if again := keep.Load(path, &v); again != nil {
				t.Errorf("the damaged file is in the way at the next start: %v", again)
			}
		}
	})
}
