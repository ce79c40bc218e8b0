package field

import (
	"io"
	"sync"
	"time"
)

// Silence is the longest time that a running agent may go without a log line: nothing then would tell later what it was
// at. The agent says every ten minutes where things stand.
const Silence = 11 * time.Minute

// mostLines bounds the log of a bad hour: a line every three seconds.
const mostLines = 1200

// watchedLog is the agent's log, of which only the pace matters here.
type watchedLog struct {
	model *model
	next  io.Writer // where the lines go as well; nil: nowhere

	mu      sync.Mutex
	running bool
	last    time.Time
	hour    int // since the model began
	lines   int // in that hour
	all     int // lines
}

func (l *watchedLog) Write(p []byte) (int, error) {
	l.look(true)
	if l.next != nil {
		return l.next.Write(p)
	}
	return len(p), nil
}

// watch begins, or ends when the agent has no power.
func (l *watchedLog) watch(running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running, l.last = running, time.Now()
}

// look checks the pace, at a line or without one.
func (l *watchedLog) look(line bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if gap := now.Sub(l.last); l.running && gap > Silence {
		l.model.violate("I8", "the agent has logged nothing for %s", gap.Round(time.Second))
		l.last = now
	}
	if !line {
		return
	}
	l.last = now
	l.all++
	hour := int(now.Sub(l.model.begin) / time.Hour)
	if hour != l.hour {
		l.hour, l.lines = hour, 0
	}
	if l.lines++; l.lines == mostLines {
		l.model.violate("I5", "%d log lines in an hour", mostLines)
	}
}

// count is how many lines there were.
func (l *watchedLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}
