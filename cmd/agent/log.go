package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"

	"github.com/fieldpost/fieldpost/agent/config"
)

const (
	// flushWithin is how long an agent that stops waits for whoever reads its log; SIGTERM promises an end within 10 s.
	flushWithin = time.Second
	// keptLines is how many lines the agent remembers for diag: an hour of a bad link.
	keptLines = 300
	// maxLine cuts what is remembered of a line.
	maxLine = 2048
)

// newLogger writes to out without ever blocking whoever logs: a pipe that nobody reads must not stop a reading. lines
// remembers the last of what was logged; flush waits until it has been written, for flushWithin at most.
func newLogger(cfg config.Log, level *logLevel, out io.Writer) (log zerolog.Logger, lines *logLines, flush func()) {
	console := cfg.Format == "console" || cfg.Format == "auto" && isTerminal(out)
	journal := !console && isJournal(out, os.Getenv("JOURNAL_STREAM"))
	if console {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.DateTime, NoColor: os.Getenv("NO_COLOR") != ""}
	}
	queue := diode.NewWriter(struct{ io.Writer }{out}, 1000, 0, // without out's Close: standard error outlives the log
		func(missed int) {
			fmt.Fprintf(out, `{"level":"warn","message":"%d log lines were dropped: standard error is not read fast enough"}`+"\n", missed)
		})
	var w io.Writer = queue
	if journal {
		w = priorities{queue}
	}
	lines = new(logLines)
	flush = func() {
		written := make(chan struct{})
		go func() { // ends with the process where nobody reads
			defer close(written)
			_ = queue.Close()
		}()
		select {
		case <-written:
		case <-time.After(flushWithin):
		}
	}
	return zerolog.New(levelFilter{zerolog.MultiLevelWriter(lines, w), level}).With().Timestamp().Logger(), lines, flush
}

// isJournal tells whether out is the journal's own stream, as the service manager says in stream: a program whose output
// was redirected inherits the variable too.
func isJournal(out io.Writer, stream string) bool {
	f, ok := out.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// priorities begins each line with its syslog priority, which the journal takes off again: sd-daemon(3).
type priorities struct{ io.Writer }

var _ zerolog.LevelWriter = priorities{}

func (p priorities) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	number := map[zerolog.Level]int{
		zerolog.PanicLevel: 2, zerolog.FatalLevel: 2, zerolog.ErrorLevel: 3, zerolog.WarnLevel: 4, zerolog.DebugLevel: 7, zerolog.TraceLevel: 7,
	}
	n, ok := number[level]
	if !ok {
		n = 6
	}
	if _, err := p.Write(append(fmt.Appendf(nil, "<%d>", n), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// logLines remembers the last lines of the log.
type logLines struct {
	mu    sync.Mutex
	lines []string // guarded by mu; a ring once it is full
	next  int      // guarded by mu; where the oldest is
}

func (l *logLines) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line[:min(len(line), maxLine)]), "\n")
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) < keptLines {
		l.lines = append(l.lines, text)
	} else {
		l.lines[l.next] = text
		l.next = (l.next + 1) % keptLines
	}
	return len(line), nil
}

// all returns the lines, oldest first.
func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]string{}, l.lines[l.next:]...), l.lines[:l.next]...)
}
