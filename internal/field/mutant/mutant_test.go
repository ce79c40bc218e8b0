package mutant_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/internal/field/mutant"
)

func TestParseAndApply(t *testing.T) {
	list, err := mutant.Parse("x", "# about\n=== a-b: it fails\n--- f.go\n one\n-two\n+TWO\n\n three\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []mutant.Mutant{{Name: "a-b", What: "it fails", Edits: []mutant.Edit{{File: "f.go", Old: "one\ntwo\n\nthree\n", New: "one\nTWO\n\nthree\n"}}}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Fatalf("read differently (-want +got):\n%s", diff)
	}
	root := t.TempDir()
	for _, tc := range []struct {
		source, want, fault string
	}{
		{"zero\none\ntwo\n\nthree\nfour\n", "zero\none\nTWO\n\nthree\nfour\n", ""},
		{"one\ntwo\n\nthree\n", "one\nTWO\n\nthree\n", ""},
		{"none\ntwo\n\nthree\n", "", "0 times"},
		{"one\ntwo\n\nthree\none\ntwo\n\nthree\n", "", "2 times"},
	} {
		if err := os.WriteFile(filepath.Join(root, "f.go"), []byte(tc.source), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := list[0].Apply(root)
		if tc.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tc.fault) || !strings.Contains(err.Error(), "a-b") {
				t.Errorf("%q: got %v, want an error with %q and the name", tc.source, err, tc.fault)
			}
			continue
		}
		if err != nil || got["f.go"] != tc.want {
			t.Errorf("%q became %q, %v, want %q", tc.source, got["f.go"], err, tc.want)
		}
	}
	for _, bad := range []string{"=== nothing", "--- f.go", "=== a: b\n line", "=== a: b\n--- f.go\nx"} {
		if _, err := mutant.Parse("x", bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
