package source_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

// store is a queue as a source sees it.
type store struct{ *queue.Queue }

func (s store) Accept(ctx context.Context, msgs ...queue.Message) (uint64, error) {
	return s.Put(ctx, msgs...)
}

func (s store) AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (uint64, error) {
	return s.PutAt(ctx, c, msgs...)
}

// A log is a file that is followed into a queue.
type logFile struct {
	t     *testing.T
	path  string
	queue *queue.Queue
	start bool // read from the start
	rate  int
	stop  func()
	tail  *source.Tail
}

func newLog(t *testing.T) *logFile {
	t.Helper()
	dir := t.TempDir()
	return &logFile{t: t, path: filepath.Join(dir, "log"), queue: openQueue(t, filepath.Join(dir, "queue.db"))}
}

func openQueue(t *testing.T, path string) *queue.Queue {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func newTail(t *testing.T, s source.CursorSink, path string, fromStart bool, rate int) *source.Tail {
	t.Helper()
	tail, err := source.NewTail(source.TailConfig{ReadingConfig: common(t, nil, reading.Rule{}), Store: s, Path: path, FromStart: fromStart, MaxRate: rate})
	if err != nil {
		t.Fatal(err)
	}
	return tail
}

// follow starts the source, which has come to the end of the file when it returns.
func (l *logFile) follow() {
	l.t.Helper()
	l.tail = newTail(l.t, store{l.queue}, l.path, l.start, l.rate)
	l.stop = launch(l.t, l.tail)
	l.settle()
}

// settle lets the source do all that it can. It runs in virtual time.
func (l *logFile) settle() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

func (l *logFile) append(text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *logFile) rename(suffix string) {
	l.t.Helper()
	if err := os.Rename(l.path, l.path+suffix); err != nil {
		l.t.Fatal(err)
	}
}

// copyTruncate is rotation for writers that keep the file open.
func (l *logFile) copyTruncate(suffix string) {
	l.t.Helper()
	content, err := os.ReadFile(l.path)
	if err == nil {
		err = os.WriteFile(l.path+suffix, content, 0o644)
	}
	if err == nil {
		err = os.Truncate(l.path, 0)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// got returns what is in the queue.
func (l *logFile) got() string { return stored(l.t, l.queue) }

func stored(t *testing.T, q *queue.Queue) string {
	t.Helper()
	var all []string
	for m, err := range q.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(m.Payload))
	}
	return strings.Join(all, " ")
}

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
		s.err = queue.ErrFull
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
		s.err = nil
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
	err error // written while the source sleeps
}

func (s *blockedStore) AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (uint64, error) {
	if s.err != nil {
		return 0, s.err
	}
	return s.store.AcceptAt(ctx, c, msgs...)
}
