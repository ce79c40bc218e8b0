package source_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

func newExec(t *testing.T, s *sink, script string, change func(*source.ExecConfig)) *source.Exec {
	t.Helper()
	cfg := source.ExecConfig{ReadingConfig: common(t, s, reading.Rule{}), Command: []string{"/bin/sh", "-c", script}, Interval: time.Hour}
	if change != nil {
		change(&cfg)
	}
	e, err := source.NewExec(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestExecAtAnInterval(t *testing.T) {
	for _, c := range []struct {
		script string
		format reading.Format
		topic  string
		want   []string
	}{
		{"echo 21.50", reading.Format{}, "", []string{"dev/x 21.50"}},
		{"echo 1; echo 2", reading.Format{}, "", []string{"dev/x 1", "dev/x 2"}},
		{`printf '{\n  "t": 21.5,\n  "s": "a  b"\n}\n'`, reading.Format{Kind: "json"}, "", []string{`dev/x {"s":"a  b","t":21.5}`}},
		{`printf '{"t":1}\n{"t":2}\n'`, reading.Format{Kind: "json"}, "", []string{`dev/x {"t":1}`, `dev/x {"t":2}`}},
		{"echo 'm,room=a t=1,h=2i'", reading.Format{Kind: "influx"}, "{device}/{measurement}/{tag.room}/{field}", []string{"dev/m/a/t 1", "dev/m/a/h 2"}},
		{"echo 3; echo noise >&2", reading.Format{}, "", []string{"dev/x 3"}},
	} {
		s := &sink{}
		e := newExec(t, s, c.script, func(cfg *source.ExecConfig) {
			cfg.Format = c.format
			if c.topic != "" {
				cfg.Rule.Topic = topic(t, c.topic)
			}
			cfg.Rule.Lane, cfg.Rule.QoS = queue.Alarm, 2
		})
		stop := launch(t, e)
		eventually(t, c.script, func() bool { return len(s.all()) == len(c.want) })
		stop()
		if diff := cmp.Diff(c.want, s.payloads()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.script, diff)
		}
		if m := s.all()[0]; m.Source != "exec:x" || m.Lane != queue.Alarm || m.QoS != 2 {
			t.Errorf("%s: got %+v", c.script, m)
		}
		if st := e.Status(); st.Name != "exec:x" || st.Address != "/bin/sh" || st.Accepted != uint64(len(c.want)) || st.Error != "" {
			t.Errorf("%s: got status %+v", c.script, st)
		}
	}
}

func TestExecFailuresAreShown(t *testing.T) {
	for script, want := range map[string]string{
		"echo cause >&2; exit 3":             "ended with exit status 3: cause",
		"exit 0":                             "printed nothing",
		"kill -9 $$":                         "signal: killed",
		"head -c 2000 /dev/zero":             "more than 1000 bytes",
		`printf '\377\376\n'`:                "not text",
		`printf 'bad\033[31m\n' >&2; exit 1`: "bad?[31m",
		"yes 0123456789":                     "more than 1000 bytes",
		"sleep 100":                          "ran longer than 200ms",
		"trap '' TERM INT HUP; while :; do :; done": "ran longer than 200ms",
	} {
		s := &sink{}
		e := newExec(t, s, script, func(cfg *source.ExecConfig) {
			if strings.HasPrefix(want, "ran longer") {
				cfg.Timeout = 200 * time.Millisecond
			}
		})
		stop := launch(t, e)
		awaitError(t, e, want)
		stop()
		if len(s.all()) != 0 {
			t.Errorf("%s: got %q, want nothing", script, s.payloads())
		}
	}
	s := &sink{}
	e, err := source.NewExec(source.ExecConfig{ReadingConfig: common(t, s, reading.Rule{}), Command: []string{"/does/not/exist"}, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	launch(t, e)
	awaitError(t, e, "can't start /does/not/exist")
}

// alive reports whether a process is there and no zombie.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// pidIn waits for a process to write its number into a file.
func pidIn(t *testing.T, file string) (pid int) {
	t.Helper()
	eventually(t, "the number of a process", func() bool {
		text, err := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	return pid
}

// Whatever a program has started ends with it: when it hangs, when it ends and leaves something behind, and when the source
// stops.
func TestExecKillsTheWholeGroup(t *testing.T) {
	for name, c := range map[string]struct {
		script   string // with the file for the number of the grandchild
		interval time.Duration
		stops    bool
	}{
		"hangs":           {"sleep 1000 & echo $! >%s; wait", time.Hour, false},
		"leaves a child":  {"sleep 1000 & echo $! >%s; echo 1", time.Hour, false},
		"source stops":    {"sleep 1000 & echo $! >%s; wait", time.Hour, true},
		"follower hangs":  {"sleep 1000 & echo $! >%s; wait", 0, false},
		"follower stops":  {"sleep 1000 & echo $! >%s; echo 1; wait", 0, true},
		"follower leaves": {"sleep 1000 & echo $! >%s; exec >&-", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			e := newExec(t, &sink{}, fmt.Sprintf(c.script, file), func(cfg *source.ExecConfig) {
				cfg.Interval, cfg.Timeout = c.interval, 2*time.Second
				if c.stops {
					cfg.Timeout = time.Hour
				}
			})
			stop := launch(t, e)
			pid := pidIn(t, file)
			if c.stops {
				stop()
			}
			eventually(t, "the end of the child", func() bool { return !alive(pid) })
		})
	}
}

// A child that leaves the group and keeps the output open doesn't hold the source up.
func TestExecDoesNotWaitForWhatHasLeft(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	s := &sink{}
	e := newExec(t, s, "setsid sh -c 'echo $$ >"+file+"; exec sleep 1000' & while [ ! -s "+file+" ]; do sleep 0.01; done; echo 7", nil)
	launch(t, e)
	pid := pidIn(t, file)
	defer syscall.Kill(pid, syscall.SIGKILL)
	awaitPayload(t, s, "dev/x 7")
}

func TestExecDoesNotInheritSecrets(t *testing.T) {
	t.Setenv("BROKER_PASSWORD", "hunter2")
	s := &sink{}
	launch(t, newExec(t, s, `echo "[$BROKER_PASSWORD]"; [ -n "$PATH" ] && echo path; pwd; cat`, nil))
	eventually(t, "the output", func() bool { return len(s.all()) == 3 })
	if diff := cmp.Diff([]string{"dev/x []", "dev/x path", "dev/x /"}, s.payloads()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestExecFollowsAndStartsAgain(t *testing.T) {
	s := &sink{}
	file := filepath.Join(t.TempDir(), "runs")
	e := newExec(t, s, "echo x >>"+file+"; echo run $(wc -l <"+file+"); echo; printf 'no end'", func(cfg *source.ExecConfig) { cfg.Interval = 0 })
	launch(t, e)
	awaitPayload(t, s, "dev/x run 1")
	awaitError(t, e, "has ended")
	awaitPayload(t, s, "dev/x run 2")
	want := []string{"dev/x run 1", "dev/x no end", "dev/x run 2"}
	if diff := cmp.Diff(want, s.payloads()[:3]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestExecThatIsSilentForTooLong(t *testing.T) {
	s := &sink{}
	e := newExec(t, s, "echo 1; sleep 1000", func(cfg *source.ExecConfig) { cfg.Interval, cfg.Timeout = 0, 200*time.Millisecond })
	launch(t, e)
	awaitPayload(t, s, "dev/x 1")
	awaitError(t, e, "printed nothing for 200ms")
}

// A program that floods waits, and what it prints is neither read faster than allowed nor lost.
func TestExecFloodIsPaced(t *testing.T) {
	s := &sink{}
	e := newExec(t, s, `i=0; while :; do i=$((i+1)); echo $i; done`, func(cfg *source.ExecConfig) { cfg.Interval, cfg.MaxRate = 0, 50 })
	begin := time.Now()
	stop := launch(t, e)
	eventually(t, "three seconds' worth", func() bool { return len(s.all()) >= 150 })
	took := time.Since(begin)
	stop()
	if took < 1900*time.Millisecond { // the first second's may come at once, each further second brings 50
		t.Errorf("150 lines came within %v, want 50 in a second", took)
	}
	for i, m := range s.all() {
		if string(m.Payload) != strconv.Itoa(i+1) {
			t.Fatalf("line %d is %q", i+1, m.Payload)
		}
	}
}

func TestExecNoiseBetweenLines(t *testing.T) {
	s := &sink{}
	e := newExec(t, s, `echo 1; head -c 5000 /dev/zero; echo; printf '\377\376\n'; echo 2; sleep 1000`, func(cfg *source.ExecConfig) { cfg.Interval = 0 })
	launch(t, e)
	awaitPayload(t, s, "dev/x 2")
	if diff := cmp.Diff([]string{"dev/x 1", "dev/x 2"}, s.payloads()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := e.Status().Refused; got != 2 {
		t.Errorf("got %d refused, want the long line and the one that is no text", got)
	}
}

// What a program prints while nothing can be stored waits, in order, with the time that it was read at.
func TestLinesWaitForTheStore(t *testing.T) {
	s := &sink{}
	s.fail(queue.ErrFull)
	begin := time.Now()
	e := newExec(t, s, "echo 1; echo 2; sleep 1000", func(cfg *source.ExecConfig) { cfg.Interval = 0 })
	launch(t, e)
	awaitError(t, e, "waits, since nothing can be stored: queue: full")
	refusedAt := time.Now()
	s.fail(nil)
	awaitPayload(t, s, "dev/x 2")
	if diff := cmp.Diff([]string{"dev/x 1", "dev/x 2"}, s.payloads()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if m := s.all()[0]; m.Time.Before(begin) || m.Time.After(refusedAt) || m.Trust != queue.TrustKnown {
		t.Errorf("got time %v with trust %v, want that of the reading, from %v to %v", m.Time, m.Trust, begin, refusedAt)
	}
}

// A reading that is taken anew each time isn't kept: the next one is better.
func TestPolledReadingsAreRefused(t *testing.T) {
	s := &sink{}
	s.fail(queue.ErrFull)
	e := newExec(t, s, "echo 1", func(cfg *source.ExecConfig) { cfg.Interval, cfg.Rule.Change = 50*time.Millisecond, true })
	launch(t, e)
	eventually(t, "two refusals", func() bool { return e.Status().Refused >= 2 })
	s.fail(nil)
	awaitPayload(t, s, "dev/x 1")
	eventually(t, "the end of the error", func() bool { return e.Status().Error == "" })
	if got := len(s.all()); got != 1 {
		t.Errorf("got %d messages of a value that doesn't change, want 1", got)
	}
}

func TestPanicEndsOneSourceOnly(t *testing.T) {
	cfg := common(t, &sink{}, reading.Rule{})
	cfg.Trust = func(time.Time) queue.Trust { panic("unheard of") }
	e, err := source.NewExec(source.ExecConfig{ReadingConfig: cfg, Command: []string{"/bin/echo", "1"}, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exec:x broke down: unheard of") || !strings.Contains(e.Status().Error, "broke down") {
		t.Errorf("got %v and status %q", err, e.Status().Error)
	}
}
