package main

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/internal/field"
)

// worstFrame has the longest texts and numbers that a demo can come to.
func worstFrame() demoFrame {
	return demoFrame{
		elapsed: 99 * time.Minute, covered: false, messages: 100_000, accepted: 100_000, received: 99_999, duplicates: 12345, disorders: 12345,
		status: agent.Status{Verdict: agent.VerdictConnecting, Reason: strings.Repeat("registration: searching for 12 min; ", 8),
			Queue: agent.QueueStatus{Messages: 100_000}},
		up: 123_456_789, down: 123_456_789,
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

func TestDemoViewFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, screen := range [][2]int{{80, 24}, {200, 60}, {40, 6}, {1, 1}} {
		for _, color := range []bool{false, true} {
			var out bytes.Buffer
			v := &demoView{canvas: canvas{out: &out, color: color, screen: func() (int, int) { return screen[0], screen[1] }}}
			v.draw(worstFrame())
			v.draw(worstFrame())
			if !color && regexp.MustCompile("\x1b\\[[0-9]+m").MatchString(out.String()) {
				t.Error("colour where none was wanted")
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if got, most := len(lines)/2, max(screen[1]-1, 1); got > most {
				t.Errorf("%v: got %d lines, want at most %d", screen, got, most)
			}
			for _, line := range lines {
				if got := utf8.RuneCountInString(escapes.ReplaceAllString(line, "")); got >= max(screen[0], 2) {
					t.Errorf("%v: %d columns: %q", screen, got, line)
				}
			}
			if screen[0] >= 80 && !strings.Contains(out.String(), "99999 of 100000 received") {
				t.Errorf("%v: the counts don't show:\n%s", screen, out.String())
			}
		}
	}
}

func TestDemoVerdict(t *testing.T) {
	t.Parallel()
	good := verdict{Messages: 3, Published: 3, Received: 3}
	if !good.good() {
		t.Error("all has arrived once and in order: want good")
	}
	for name, change := range map[string]func(*verdict){
		"nothing accepted": func(v *verdict) { v.Published, v.Received = 0, 0 },
		"not all accepted": func(v *verdict) { v.Published, v.Received = 2, 2 },
		"missing":          func(v *verdict) { v.Missing = 1 },
		"duplicate":        func(v *verdict) { v.Duplicates = 1 },
		"out of order":     func(v *verdict) { v.OutOfOrder = 1 },
	} {
		v := good
		if change(&v); v.good() {
			t.Errorf("%s: want bad", name)
		}
	}
	var out bytes.Buffer
	verdict{Seed: 7, Messages: 240, Published: 1, Reconnects: 1}.print(&out)
	says(t, out.String(), "BAD", "of 240 readings", "1 reconnect\n", "again: fieldpost demo --seed 7 --messages 240\n")
}

// TestSensorsEndWithTheirLastReading: the pace is for the time between readings; after the last one there is none.
func TestSensorsEndWithTheirLastReading(t *testing.T) {
	t.Parallel()
	c, err := startCloud("demo/#")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var s sensors
	if err := s.run(ctx, c.addr, len(demoTopics), time.Hour, 1); err != nil || s.accepted.Load() != int64(len(demoTopics)) {
		t.Errorf("got %v after %d readings", err, s.accepted.Load())
	}
}

// TestDemoOfOneReading is the shortest demo.
func TestDemoOfOneReading(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := call(t, "demo", "--messages", "1", "--json")
	if v := decode(t, stdout); code != 0 || v["published"] != 1.0 || v["received"] != 1.0 || v["outages"] != 1.0 {
		t.Errorf("got exit code %d, %s", code, stdout)
	}
	says(t, stderr, "coverage is lost", "coverage is back")
	if escapes.MatchString(stderr) {
		t.Errorf("control sequences off a terminal: %q", stderr)
	}
}

func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	p := fieldpost(t, "demo", "demo")
	p.waitFor("accepted", 30*time.Second)
	if code := p.stop(20 * time.Second); code != exitFailed {
		t.Errorf("got exit code %d, want %d", code, exitFailed)
	}
	says(t, p.text(), "interrupted before the verdict")
}

// The month's player needs virtual time outside of go test, so it is played by the built binary.
func TestDemoInTheField(t *testing.T) {
	t.Parallel()
	out, stderr, code := call(t, "demo", "--field", "3:12", "--json")
	var v fieldVerdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != exitOK {
		t.Fatalf("code %d, %v in %s, %s", code, err, out, stderr)
	}
	if v.Published == 0 || v.Received != v.Published || v.VirtualDays < 0.5 || !v.good() {
		t.Errorf("got %s", out)
	}
	if _, stderr, code := call(t, "demo", "--field", "soon"); code != exitUsage || !strings.Contains(stderr, "SEED:HOURS") {
		t.Errorf("got code %d and %q for a seed that is none", code, stderr)
	}
}

// What the field does is told once each, and that all is well is not.
func TestFaultsOnThePage(t *testing.T) {
	lines := new(logLines)
	told := faultTeller{log: zerolog.New(lines), before: make(map[field.Kind]int)}
	agent := zerolog.New(troubleOnly{lines})
	agent.Info().Msg("connected")
	told.tell(map[field.Kind]int{field.Coverage: 1})
	agent.Warn().Msg("link is down")
	told.tell(map[field.Kind]int{field.Coverage: 1})
	told.tell(map[field.Kind]int{field.Coverage: 2})
	got := strings.Join(lines.all(), "\n")
	for text, want := range map[string]int{"the field's doing: coverage lost": 2, "link is down": 1, "connected": 0} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is told %d times, want %d:\n%s", text, n, want, got)
		}
	}
}
