package agent_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// TestFullDiskIsSaid: sensors hear no while the link is fine, and status says so until one is taken again.
func TestFullDiskIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size=4m"); err != nil {
		t.Skipf("mounting a small file system: %v; this test needs root and the right to mount", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	q, err := queue.Open(queue.Config{Path: filepath.Join(dir, "queue.db"), Reserve: 512 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	a, err := agent.New(agent.Config{Queue: q, Link: newLink(), Retry: func(error, time.Duration) time.Duration { return time.Second }})
	if err != nil {
		t.Fatal(err)
	}
	others := filepath.Join(dir, "others")
	if err := os.WriteFile(others, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	reading := queue.Message{Topic: "a", Payload: bytes.Repeat([]byte("x"), 50_000)}
	for range 100 { // what the file has free already can be used
		if _, err = a.Accept(t.Context(), reading); err != nil {
			break
		}
	}
	if !errors.Is(err, queue.ErrDiskFull) {
		t.Fatalf("Accept on a full disk: %v", err)
	}
	st := a.Status()
	for _, want := range []string{"readings are refused", "no space left", "free some"} {
		if st.Verdict != agent.VerdictBlocked || !strings.Contains(st.Reason, want) {
			t.Errorf("got %s: %s; want blocked, with %q", st.Verdict, st.Reason, want)
		}
	}
	if err := os.Remove(others); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Accept(t.Context(), reading); err != nil {
		t.Fatal(err)
	}
	if st := a.Status(); st.Verdict == agent.VerdictBlocked || strings.Contains(st.Reason, "refused") {
		t.Errorf("with room again: %s: %s", st.Verdict, st.Reason)
	}
}
