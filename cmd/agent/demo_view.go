package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/fieldpost/fieldpost/agent"
)

// demoFrame is what the live view shows at one moment.
type demoFrame struct {
	elapsed                         time.Duration
	covered                         bool
	messages, published, accepted   int
	received, duplicates, disorders int
	status                          agent.Status
	up, down                        uint64 // bytes on the air
}

// demoView draws the frames: on a terminal in place, elsewhere a line for each thing that happens.
type demoView struct {
	out   io.Writer
	live  bool
	color bool
	lines int // drawn, to be drawn over
	last  demoFrame
	begun bool
}

func newDemoView(out io.Writer) *demoView {
	f, ok := out.(*os.File)
	live := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	return &demoView{out: out, live: live, color: live && os.Getenv("NO_COLOR") == ""}
}

func (v *demoView) draw(f demoFrame) {
	if !v.live {
		v.tell(f)
		v.last, v.begun = f, true
		return
	}
	rows := v.rows(f)
	if v.lines > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA", v.lines)
	}
	for _, row := range rows {
		fmt.Fprintf(v.out, "\x1b[2K%s\n", row)
	}
	v.lines = len(rows)
	v.last, v.begun = f, true
}

func (v *demoView) rows(f demoFrame) []string {
	coverage := v.paint(32, "● coverage")
	if !f.covered {
		coverage = v.paint(31, "○ no coverage")
	}
	link := v.paint(33, "◌ "+clip(f.status.Reason, 66))
	if f.status.Verdict == agent.VerdictOK {
		link = v.paint(32, "● "+clip(f.status.Reason, 66))
	}
	waiting := int(f.status.Queue.Messages)
	return []string{
		fmt.Sprintf("%s  %s", clock(f.elapsed), v.paint(1, "a reading crosses a GPRS link, and none is lost")),
		"",
		fmt.Sprintf("  sensors   %s %4d of %d accepted", bar(f.accepted, f.messages), f.accepted, f.messages),
		fmt.Sprintf("  on disk   %s %4d waiting", bar(waiting, f.messages), waiting),
		fmt.Sprintf("  radio     %s", coverage),
		fmt.Sprintf("  link      %s", link),
		fmt.Sprintf("  cloud     %s %4d of %d received, %d doubled, %d out of order", bar(f.received, f.messages), f.received, f.messages, f.duplicates, f.disorders),
		fmt.Sprintf("  on air    %s up, %s down", size(f.up), size(f.down)),
		"",
	}
}

// tell writes a line when the coverage or the verdict has changed, and every ten seconds.
func (v *demoView) tell(f demoFrame) {
	switch {
	case v.begun && f.covered != v.last.covered && !f.covered:
		v.line(f, "coverage is lost; sensors go on")
	case v.begun && f.covered != v.last.covered:
		v.line(f, "coverage is back")
	case !v.begun || f.status.Verdict != v.last.status.Verdict:
		v.line(f, f.status.Reason)
	case f.elapsed.Truncate(10*time.Second) != v.last.elapsed.Truncate(10*time.Second):
		v.line(f, fmt.Sprintf("%d accepted, %d waiting, %d received", f.accepted, f.status.Queue.Messages, f.received))
	}
}

func (v *demoView) line(f demoFrame, text string) {
	fmt.Fprintf(v.out, "%s  %s\n", clock(f.elapsed), text)
}

func (v *demoView) paint(code int, text string) string {
	if !v.color {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, text)
}

// bar draws n of all on 24 columns.
func bar(n, all int) string {
	const width = 24
	full := 0
	if all > 0 {
		full = min(n*width/all, width)
		if full == 0 && n > 0 {
			full = 1
		}
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

func clock(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%02d:%02d", d/time.Minute, d%time.Minute/time.Second)
}

// clip shortens a text to n runes.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// disk writes bytes with a binary unit, as sizes of files are configured.
func disk(n uint64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// size writes bytes with a decimal unit, as data plans do.
func size(n uint64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
