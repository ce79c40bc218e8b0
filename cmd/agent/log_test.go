package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/config"
)

// logged writes a line at each level and returns what comes out.
func logged(t *testing.T, format string, environment func(*os.File)) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	environment(f)
	level, err := newLogLevel("debug")
	if err != nil {
		t.Fatal(err)
	}
	log, _, flush := newLogger(config.Log{Format: format}, level, f)
	for _, level := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel, zerolog.ErrorLevel} {
		log.WithLevel(level).Msg("a line")
	}
	log.Trace().Msg("too fine")
	flush()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLogForms(t *testing.T) {
	journal := func(f *os.File) {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	}
	for _, test := range []struct {
		name, format string
		environment  func(*os.File)
		want         []string // beginnings of the lines
	}{
		{"a file", "auto", func(*os.File) {}, []string{`{"level":"debug"`, `{"level":"info"`, `{"level":"warn"`, `{"level":"error"`}},
		{"the journal", "auto", journal, []string{`<7>{"level":"debug"`, `<6>{"level":"info"`, `<4>{"level":"warn"`, `<3>{"level":"error"`}},
		{"a file of a service", "json", func(*os.File) { t.Setenv("JOURNAL_STREAM", "8:1") },
			[]string{`{"level":"debug"`, `{"level":"info"`, `{"level":"warn"`, `{"level":"error"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := strings.Split(strings.TrimSpace(logged(t, test.format, test.environment)), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("got %d lines, want %d: %q", len(lines), len(test.want), lines)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("got %s, want %s first", lines[i], want)
				}
			}
		})
	}
	t.Setenv("NO_COLOR", "1")
	if text := logged(t, "console", func(*os.File) {}); !strings.Contains(text, "ERR a line") || escapes.MatchString(text) {
		t.Errorf("console with NO_COLOR: got %q", text)
	}
}

func TestLogRemembersTheLast(t *testing.T) {
	t.Parallel()
	var l logLines
	for i := range keptLines + 7 {
		fmt.Fprintf(&l, "line %d\n", i)
	}
	all := l.all()
	if len(all) != keptLines || all[0] != "line 7" || all[keptLines-1] != fmt.Sprintf("line %d", keptLines+6) {
		t.Errorf("got %d lines from %q to %q", len(all), all[0], all[len(all)-1])
	}
	if _, _ = l.Write([]byte(strings.Repeat("x", 10*maxLine))); len(l.all()[keptLines-1]) != maxLine {
		t.Error("a long line is kept whole")
	}
}

// TestNobodyReadsTheLog: the pipe is full from the beginning; readings are taken in all the same, and SIGTERM ends it.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\nlog: {level: trace}\n")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fillPipe(t, w)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "run", "--config", s.conf)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	eventually(t, "a reading is accepted", 20*time.Second, func() bool {
		resp, err := http.Post("http://"+s.http+"/v1/messages/a", "text/plain", strings.NewReader("1"))
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusAccepted
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("SIGTERM doesn't end it")
	}
}

// fillPipe writes to a pipe until it takes no more.
func fillPipe(t *testing.T, w *os.File) {
	t.Helper()
	for _, block := range [][]byte{make([]byte, 4096), {0}} {
		for {
			if err := w.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(block); err != nil {
				break
			}
		}
	}
	if err := w.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}
