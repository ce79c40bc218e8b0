package keep_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/keep"
)

type learned struct {
	Interval time.Duration
	Operator string
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "learned")
	got := learned{Operator: "as it was"}
	if err := keep.Load(path, &got); err != nil || got.Operator != "as it was" {
		t.Fatalf("before anything was saved: got %v, %v", got, err)
	}
	for _, want := range []learned{{Interval: time.Minute, Operator: "a\nb"}, {Interval: 1}} {
		if err := keep.Save(path, want); err != nil {
			t.Fatal(err)
		}
		if err := keep.Load(path, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("loaded (-want +got):\n%s", diff)
		}
	}
	wantFiles(t, path, "learned")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode: got %o, want 600", got)
	}
}

func TestSaveWritesOnlyChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "learned")
	file := func(v learned) os.FileInfo {
		t.Helper()
		if err := keep.Save(path, v); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := file(learned{Interval: 1})
	if !os.SameFile(first, file(learned{Interval: 1})) {
		t.Error("the same value was written again")
	}
	if os.SameFile(first, file(learned{Interval: 2})) {
		t.Error("another value took the place of the old one in the same file")
	}
}

// A power cut between the two files leaves a part of the new one.
func TestSaveAfterAPowerCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "learned")
	if err := os.WriteFile(path+".new", []byte(`{"Inter`), 0o644); err != nil {
		t.Fatal(err)
	}
	var got learned
	if err := keep.Load(path, &got); err != nil || got != (learned{}) {
		t.Errorf("loaded %v, %v, want nothing", got, err)
	}
	if err := keep.Save(path, learned{Interval: 1}); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, path, "learned")
}

func TestDamage(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"cut":         func(b []byte) []byte { return b[:len(b)/2] },
		"one bit":     func(b []byte) []byte { b[14] ^= 1; return b }, // a digit of the number: still JSON
		"zeroed":      func(b []byte) []byte { return make([]byte, len(b)) },
		"more":        func(b []byte) []byte { return append(b, '\n') },
		"other type":  func([]byte) []byte { return []byte("17\n") },
		"wrong value": func([]byte) []byte { return []byte("17\n46a4d07c\n") },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "learned")
			if err := keep.Save(path, learned{Interval: 1234}); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(content), 0o600); err != nil {
				t.Fatal(err)
			}
			got := learned{Operator: "as it was"}
			err = keep.Load(path, &got)
			if !errors.Is(err, keep.ErrDamaged) || !strings.HasPrefix(err.Error(), "keep: ") || !strings.Contains(err.Error(), "learned.damaged") {
				t.Errorf("got %v, want damage and where it is", err)
			}
			if want := (learned{Operator: "as it was"}); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			wantFiles(t, path, "learned.damaged")
			if err := keep.Load(path, &got); err != nil {
				t.Errorf("the next time: %v", err)
			}
		})
	}
}

func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	if err := keep.Save(filepath.Join(dir, "missing", "learned"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the folder: got %v", err)
	}
	if err := keep.Save(filepath.Join(dir, "learned"), func() {}); err == nil {
		t.Error("a value that JSON doesn't know was saved")
	}
	wantFiles(t, filepath.Join(dir, "learned"))
}

// wantFiles checks what is in the folder of path.
func wantFiles(t *testing.T, path string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// A named pipe in the place of a file is not waited for, and what is saved takes its place.
func TestPipeInThePlaceOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "learned")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	got := learned{Operator: "as it was"}
	if err := keep.Load(path, &got); err == nil || got.Operator != "as it was" || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, %v, want an error that names the file", got, err)
	}
	want := learned{Interval: time.Minute}
	if err := keep.Save(path, want); err != nil {
		t.Fatal(err)
	}
	if err := keep.Load(path, &got); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
