package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// demoFrame is what the live view shows at one moment.
type demoFrame struct {
	elapsed                         time.Duration
	covered                         bool
	messages, accepted              int
	received, duplicates, disorders int
	status                          agent.Status
	up, down                        uint64 // bytes on the air
}

// demoView draws the frames: on a terminal in place, elsewhere a line for each thing that happens.
type demoView struct {
	canvas
	last  demoFrame
	begun bool
}

func newDemoView(out io.Writer) *demoView { return &demoView{canvas: newCanvas(out)} }

func (v *demoView) draw(f demoFrame) {
	if v.screen == nil {
		v.tell(f)
	} else {
		v.paint(v.rows(f))
	}
	v.last, v.begun = f, true
}

// canvas is the part of a terminal that a live view draws over and over.
type canvas struct {
	out    io.Writer
	screen func() (columns, lines int) // of the terminal; nil: there is none
	color  bool
	lines  int // drawn, to be drawn over
}

func newCanvas(out io.Writer) canvas {
	v := canvas{out: out}
	if f, ok := out.(*os.File); ok && isLive(f) {
		v.screen, v.color = func() (int, int) { return screenOf(f) }, os.Getenv("NO_COLOR") == ""
	}
	return v
}

// paint draws the rows in place of those before.
func (v *canvas) paint(rows []row) {
	columns, lines := v.screen()
	rows = rows[:min(len(rows), max(lines-1, 1))] // the cursor needs the last one
	if v.lines > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA", v.lines)
	}
	for _, r := range rows {
		fmt.Fprintf(v.out, "\x1b[2K%s\n", v.line(r, columns-1)) // a full line would wrap on some terminals
	}
	v.lines = len(rows)
}

// row is a line of the live view: what is plain and what follows in a colour.
type row struct {
	plain string
	color int // SGR number; 0: none
	text  string
}

// line writes a row on no more than the given columns.
func (v *canvas) line(r row, columns int) string {
	plain := clip(r.plain, columns)
	text := clip(r.text, max(columns-len([]rune(plain)), 0))
	if r.text == "" || text == "…" {
		return plain
	}
	if !v.color || r.color == 0 {
		return plain + text
	}
	return fmt.Sprintf("%s\x1b[%dm%s\x1b[0m", plain, r.color, text)
}

const (
	bold   = 1
	red    = 31
	green  = 32
	yellow = 33
)

func (v *demoView) rows(f demoFrame) []row {
	coverage := row{"  radio     ", green, "● coverage"}
	if !f.covered {
		coverage = row{"  radio     ", red, "○ no coverage"}
	}
	link := row{"  link      ", yellow, "◌ " + f.status.Reason}
	if f.status.Verdict == agent.VerdictOK {
		link = row{"  link      ", green, "● " + f.status.Reason}
	}
	waiting := int(f.status.Queue.Messages)
	counted := func(name string, n int, what string) row {
		return row{plain: fmt.Sprintf("  %-9s %s %s", name, bar(n, f.messages), what)}
	}
	return []row{
		{clock(f.elapsed) + "  ", bold, "a reading crosses a GPRS link, and none is lost"},
		{},
		counted("sensors", f.accepted, fmt.Sprintf("%d of %d accepted", f.accepted, f.messages)),
		counted("on disk", waiting, fmt.Sprintf("%d waiting", waiting)),
		coverage,
		link,
		counted("cloud", f.received, fmt.Sprintf("%d of %d received", f.received, f.messages)),
		{plain: fmt.Sprintf("            %d doubled, %d out of order", f.duplicates, f.disorders)},
		{plain: fmt.Sprintf("  on air    %s up, %s down", size(f.up), size(f.down))},
		{},
	}
}

// tell writes a line when the coverage or the verdict has changed, and every ten seconds.
func (v *demoView) tell(f demoFrame) {
	switch {
	case v.begun && f.covered != v.last.covered && !f.covered:
		v.say(f, "coverage is lost; sensors go on")
	case v.begun && f.covered != v.last.covered:
		v.say(f, "coverage is back")
	case !v.begun || f.status.Verdict != v.last.status.Verdict:
		v.say(f, f.status.Reason)
	case f.elapsed.Truncate(10*time.Second) != v.last.elapsed.Truncate(10*time.Second):
		v.say(f, fmt.Sprintf("%d accepted, %d waiting, %d received", f.accepted, f.status.Queue.Messages, f.received))
	}
}

func (v *demoView) say(f demoFrame, text string) {
	fmt.Fprintf(v.out, "%s  %s\n", clock(f.elapsed), text)
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
