package mutant_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/internal/field/mutant"
)

// all reads every mutant.
func all(t *testing.T) []mutant.Mutant {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no mutants: %v", err)
	}
	var list []mutant.Mutant
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		some, err := mutant.Parse(name, string(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, some...)
	}
	return list
}

const root = "../../.."

// Whoever changes a line that a mutant replaces has to look at the mutant.
func TestMutantsFitTheSource(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range all(t) {
		if _, err := m.Apply(root); err != nil || len(m.Edits) == 0 {
			t.Errorf("%s: %v", m.Name, err)
		}
		if seen[m.Name] {
			t.Errorf("two mutants are called %s", m.Name)
		}
		seen[m.Name] = true
	}
}

// TestFieldCatchesMutants plays the simulated field with each mutant, FIELDPOST_MUTANTS=all or the names of some, until it breaks a promise.
// scripts/mutants calls it.
func TestFieldCatchesMutants(t *testing.T) {
	wanted := os.Getenv("FIELDPOST_MUTANTS")
	if wanted == "" {
		t.Skip("FIELDPOST_MUTANTS=all tries them all, which takes some minutes; scripts/mutants sets it")
	}
	names := strings.Split(wanted, ",")
	tried := 0
	for _, m := range all(t) {
		if wanted != "all" && !slices.Contains(names, m.Name) {
			continue
		}
		tried++
		t.Run(m.Name, func(t *testing.T) {
			begin := time.Now()
			verdict, days, err := hunt(t, m)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Printf("%-32s %-8s %4d days %4.0f s  %s\n", m.Name, verdict, days, time.Since(begin).Seconds(), m.What)
			if verdict == "" {
				t.Errorf("%s: %s, and the field doesn't notice", m.Name, m.What)
			}
		})
	}
	if tried == 0 {
		t.Errorf("no mutant is called %s", wanted)
	}
}

// Runs of three days as TestField plays them, and then months.
const (
	shortRuns, shortHours = 32, 72
	longRuns, longHours   = 6, 720
)

// hunt builds the field with the mutant and plays it until something is wrong; the verdict says what: a promise, or a crash.
func hunt(t *testing.T, m mutant.Mutant) (verdict string, days int, err error) {
	dir := t.TempDir()
	overlay, err := m.Overlay(mustAbs(t, root), dir)
	if err != nil {
		return "", 0, err
	}
	program := filepath.Join(dir, "field.test")
	build := exec.Command("go", "test", "-c", "-overlay", overlay, "-o", program, "./cmd/agent")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", 0, fmt.Errorf("%s doesn't compile: %w\n%s", m.Name, err, out)
	}
	for n := range shortRuns + longRuns {
		hours := shortHours
		if n >= shortRuns {
			hours = longHours
		}
		days += hours / 24
		if verdict := play(t, program, fmt.Sprintf("%d:%d", n, hours)); verdict != "" {
			return verdict, days, nil
		}
	}
	return "", days, nil
}

var broken = regexp.MustCompile(`seed \d+: (I\d+) at .*`)

// play plays one run.
func play(t *testing.T, program, replay string) (verdict string) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a run takes ten seconds at most
	defer cancel()
	run := exec.CommandContext(ctx, program, "-test.run", "^TestField$", "-test.timeout", "4m")
	run.Dir = filepath.Join(root, "cmd/agent")
	run.Env = append(os.Environ(), "FIELDPOST_FIELD="+replay)
	out, err := run.CombinedOutput()
	if found := broken.FindSubmatch(out); found != nil {
		t.Logf("run %s: %s", replay, found[0])
		return string(found[1])
	}
	if err == nil {
		return ""
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	at := max(0, bytes.Index(out, []byte("panic:")))
	t.Logf("run %s: %v: %.600s", replay, err, out[at:])
	return "crash"
}

func mustAbs(t *testing.T, path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
