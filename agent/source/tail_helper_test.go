package source_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// A logFile is a file that is followed into a queue.
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
