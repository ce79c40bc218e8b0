package queue_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// steps runs childSteps with errors injected into its system calls by strace, and returns what it said.
func steps(t *testing.T, path, inject string, more ...string) []string {
	t.Helper()
	call, _, _ := strings.Cut(inject, ":")
	log := filepath.Join(t.TempDir(), "trace")
	args := append([]string{tool(t, "strace"), "-f", "-qq", "-o", log, "-e", "trace=" + call, "-e", "inject=" + inject}, more...)
	cmd := child(t, "steps", path, args...)
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil && !strings.HasPrefix(lines[0], "open ") {
		t.Fatalf("%s: %v after %q", inject, err, out)
	}
	return lines
}

// reopen opens what a child has left, and judges it by what the child said.
func reopen(t *testing.T, path string, lines []string) error {
	t.Helper()
	l := newLedger()
	for _, line := range lines {
		l.hear(line)
	}
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		return err
	}
	defer q.Close()
	if q.Recovery() != nil {
		return fmt.Errorf("recovered: %+v", q.Recovery())
	}
	return l.judge(q)
}

// after returns what was said after the first line that begins with the word.
func after(lines []string, word string) []string {
	for i, line := range lines {
		if strings.HasPrefix(line, word) {
			return lines[i+1:]
		}
	}
	return nil
}

func count(lines []string, word string) (n int) {
	for _, line := range lines {
		if strings.HasPrefix(line, word) {
			n++
		}
	}
	return n
}

// The n-th flush of a thread (strace counts by thread) fails, for every n until a run passes untouched: after it nothing is acknowledged, and what was is there.
func TestFlushFails(t *testing.T) {
	for _, call := range []string{"fdatasync", "fsync"} {
		for n := 1; ; n++ {
			path := filepath.Join(tempDir(t), "queue.db")
			lines := steps(t, path, fmt.Sprintf("%s:error=EIO:when=%d", call, n))
			untouched := count(lines, "nak") == 0 && count(lines, "open") == 0 && count(lines, "failed") == 0
			if rest := after(lines, "nak"); count(rest, "ack") > 0 || count(rest, "gone") > 0 {
				t.Errorf("%s %d: something was acknowledged after a failed flush: %q", call, n, lines)
			}
			if (count(lines, "nak") > 0) != (count(lines, "failed failed") == 1) {
				t.Errorf("%s %d: a failed flush must fail the queue: %q", call, n, lines)
			}
			if err := reopen(t, path, lines); err != nil {
				t.Errorf("%s %d: %v", call, n, err)
			}
			if untouched {
				break
			}
			if n > 200 {
				t.Fatalf("%s: no run has passed", call)
			}
		}
	}
}

// The n-th write of each thread to the file fails: those Puts are refused, the queue goes on.
func TestWriteFailsNowAndThen(t *testing.T) {
	refused := 0
	for n := 1; n <= 20; n++ {
		path := filepath.Join(tempDir(t), "queue.db")
		lines := steps(t, path, fmt.Sprintf("pwrite64:error=EIO:when=%d", n), "-P", path)
		refused += count(lines, "nak")
		// The count is by thread, so that several writes in a row can fail; it takes three to fail the queue.
		if i := slices.IndexFunc(lines, func(s string) bool { return strings.HasSuffix(s, " failed") }); i >= 0 && (i < 2 ||
			!strings.HasSuffix(lines[i-1], " other") || !strings.HasSuffix(lines[i-2], " other")) {
			t.Errorf("write %d: a passing error has failed the queue: %q", n, lines)
		}
		if got := count(lines, "nak") + count(lines, "ack"); got != 14 || count(lines, "closed") != 1 {
			t.Errorf("write %d: %q, want an answer to each of 14 Puts", n, lines)
		}
		if err := reopen(t, path, lines); err != nil {
			t.Errorf("write %d: %v", n, err)
		}
	}
	if refused < 5 {
		t.Errorf("only %d Puts were hit", refused)
	}
}

// All writes to the file fail: what the queue says depends on the error. What it held can be read all the same.
func TestWritesFail(t *testing.T) {
	for errno, want := range map[string]struct{ nak, end string }{
		"EIO":    {"other", "failed failed"}, // three in a row
		"EROFS":  {"readonly", "closed"},
		"ENOSPC": {"diskfull", "closed"},
	} {
		path := filepath.Join(tempDir(t), "queue.db")
		q := open(t, queue.Config{Path: path})
		put(t, q, text(queue.Normal, "old1", "old2", "old3", "old4")...)
		q.Close()
		lines := steps(t, path, "pwrite64:error="+errno+":when=1+", "-P", path)
		if count(lines, "ack") > 0 || count(lines, "gone") > 0 || count(lines, "nak") != 14 {
			t.Errorf("%s: %q, want only refusals", errno, lines)
		}
		if got := "nak m0 " + want.nak; lines[0] != got || count(lines, want.end) != 1 {
			t.Errorf("%s: %q, want %q first and %q in the end", errno, lines, got, want.end)
		}
		if count(lines, "read old") == 0 {
			t.Errorf("%s: reading has stopped: %q", errno, lines)
		}
		l := newLedger()
		for _, name := range []string{"old1", "old2", "old3", "old4"} {
			l.acked[name] = true
		}
		q = open(t, queue.Config{Path: path})
		if err := l.judge(q); err != nil || q.Recovery() != nil {
			t.Errorf("%s: %v, %+v", errno, err, q.Recovery())
		}
	}
}
