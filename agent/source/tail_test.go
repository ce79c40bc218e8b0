package source_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

func TestTail(t *testing.T) {
	for name, c := range map[string]struct {
		play func(l *logFile)
		want string
	}{
		"from the end": {func(l *logFile) {
			l.append("old\nhalf")
			l.follow()
			l.append(" a line\nnew\r\n\nthird\nnot yet")
		}, "half a line new third"},
		"from the start": {func(l *logFile) {
			l.append("1\n2\n")
			l.start = true
			l.follow()
			l.append("3\n")
		}, "1 2 3"},
		"a file that appears later is new": {func(l *logFile) {
			l.follow()
			l.append("1\n2\n")
		}, "1 2"},
		"and also if the agent was stopped meanwhile": {func(l *logFile) {
			l.follow()
			l.stop()
			l.append("1\n2\n")
			l.follow()
		}, "1 2"},
		"goes on where it was": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.stop()
			l.append("2\n")
			l.follow()
			l.append("3\n")
			l.settle()
			l.stop()
			l.follow()
		}, "1 2 3"},
		"renamed, and the writer follows later": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.rename(".1")
			l.settle()
			old := *l
			old.path += ".1"
			old.append("2\n")
			l.settle()
			l.append("")
			l.settle()
			old.append("3\nlast")
			l.append("4\n")
			l.settle()
			l.append("5\n")
		}, "1 2 3 last 4 5"},
		"renamed several times while the agent was stopped": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.stop()
			l.append("2\n")
			l.rotate(".3", 1)
			l.append("3\n")
			l.rotate(".2", 2)
			l.append("4\n")
			l.rotate(".1", 3)
			l.append("5\n")
			l.follow()
			l.append("6\n")
		}, "1 2 3 4 5 6"},
		"stopped between two generations": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.rename(".1")
			l.settle()
			l.stop()
			l.append("2\n")
			l.follow()
		}, "1 2"},
		"other files with a similar name are left alone": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.stop()
			other := *l
			other.path += ".errors"
			other.append("error\n")
			l.rename(".1")
			l.append("2\n")
			l.follow()
		}, "1 2"},
		"copied and cut": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.append("2\n") // not seen before the cut
			l.copyTruncate(".1")
			l.append("3\n")
			l.settle()
			l.append("4\n")
		}, "1 2 3 4"},
		"copied and cut while stopped, and longer than before": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.stop()
			l.append("2\n")
			l.copyTruncate("-20260101")
			l.append("a longer line than before\n3\n")
			l.follow()
		}, "1 2 a longer line than before 3"},
		"cut without a copy": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			os.Truncate(l.path, 0)
			l.append("2\n")
		}, "1 2"},
		"removed and made anew": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.append("2\n")
			os.Remove(l.path)
			l.settle()
			l.append("3\n")
		}, "1 2 3"},
		"compressed while stopped": {func(l *logFile) {
			l.append("old\n")
			l.follow()
			l.append("1\n")
			l.settle()
			l.stop()
			l.rename(".1.gz")
			l.append("2\n")
			l.follow()
		}, "1 2"},
		"too long and no text": {func(l *logFile) {
			l.follow()
			l.append("1\n" + strings.Repeat("x", 1001) + "\n2\n" + strings.Repeat("y", 200_000))
			l.settle()
			l.append("yy\n\x00\x01\n3\n")
		}, "1 2 3"},
		"many lines": {func(l *logFile) {
			l.follow()
			for i := range 2000 {
				l.append(fmt.Sprintln(i))
			}
		}, strings.TrimSpace(strings.Join(strings.Fields(fmt.Sprint(numbers(2000))), " "))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog(t)
				c.play(l)
				l.settle()
				if diff := cmp.Diff(c.want, l.got()); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				l.stop()
				l.queue.Close()
			})
		})
	}
}

// rotate renames the file, with a time of its own: in virtual time all files are made at once.
func (l *logFile) rotate(suffix string, minute int) {
	l.t.Helper()
	l.rename(suffix)
	at := time.Now().Add(-time.Hour + time.Duration(minute)*time.Minute)
	if err := os.Chtimes(l.path+suffix, at, at); err != nil {
		l.t.Fatal(err)
	}
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

func TestTailTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.follow()
		awaitError(t, l.tail, "no such file")
		if err := os.Mkdir(l.path, 0o755); err != nil {
			t.Fatal(err)
		}
		l.settle()
		awaitError(t, l.tail, "is not a file")
		os.Remove(l.path)
		l.append("1\n")
		l.settle()
		if st := l.tail.Status(); st.Error != "" || l.got() != "1" {
			t.Errorf("got %q and status %+v", l.got(), st)
		}
		l.stop()
		l.queue.Close()
	})
}

func TestTailIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		l.append(numbers(100))
		l.start, l.rate = true, 10
		l.follow() // five seconds
		if n := len(strings.Fields(l.got())); n < 50 || n > 60 {
			t.Errorf("%d lines were read within 5 s, want 10 in a second", n)
		}
		l.stop()
		l.queue.Close()
	})
}

// While nothing can be stored the file is rotated, twice: nothing is lost, since nothing was passed over.
func TestTailWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(t)
		s := &blockedStore{store: store{l.queue}}
		l.append("old\n")
		l.tail = newTail(t, s, l.path, false, 0)
		l.stop = launch(t, l.tail)
		l.settle()
		s.full.Store(true)
		l.append("1\n")
		l.settle()
		l.append("2\n")
		l.rotate(".2", 1)
		l.append("3\n")
		l.rotate(".1", 2)
		l.append("4\n")
		l.settle()
		if got := l.got(); got != "" || !strings.Contains(l.tail.Status().Error, "nothing can be stored") {
			t.Errorf("got %q and status %q", got, l.tail.Status().Error)
		}
		s.full.Store(false)
		time.Sleep(time.Minute)
		l.settle()
		if got, want := l.got(), "1 2 3 4"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		l.stop()
		l.queue.Close()
	})
}

// blockedStore refuses while it is told to.
type blockedStore struct {
	store
	full atomic.Bool
}

func (s *blockedStore) AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (uint64, error) {
	if s.full.Load() {
		return 0, queue.ErrFull
	}
	return s.store.AcceptAt(ctx, c, msgs...)
}
