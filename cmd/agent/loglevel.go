package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// logLevel is the level of a log that can be changed while the agent runs.
type logLevel struct {
	mu         sync.Mutex
	configured zerolog.Level // guarded by mu
	now        zerolog.Level // guarded by mu
	timer      *time.Timer   // guarded by mu: brings the configured level back; nil: none runs
}

// newLogLevel makes a level; the name is that of a configuration.
func newLogLevel(name string) (*logLevel, error) {
	l := &logLevel{}
	return l, l.Configure(name)
}

func parseLevel(name string) (zerolog.Level, error) {
	switch level, err := zerolog.ParseLevel(name); {
	case err != nil, level < zerolog.TraceLevel, level > zerolog.ErrorLevel, name == "":
		return 0, fmt.Errorf("log.level: %.40q is not one of trace, debug, info, warn, error", name)
	default:
		return level, nil
	}
}

// Configure sets the level for good.
func (l *logLevel) Configure(name string) error {
	level, err := parseLevel(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopTimer()
	l.configured, l.now = level, level
	return nil
}

// SetFor sets the level for a while, after which the configured one counts again; 0 means until the end of the process.
func (l *logLevel) SetFor(name string, span time.Duration) error {
	level, err := parseLevel(name)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopTimer()
	l.now = level
	if span > 0 {
		l.timer = time.AfterFunc(span, l.restore)
	}
	return nil
}

func (l *logLevel) restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.timer = l.configured, nil
}

// stopTimer is called with mu held.
func (l *logLevel) stopTimer() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

func (l *logLevel) lets(level zerolog.Level) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return level >= l.now
}

// levelFilter passes on what the level lets through.
type levelFilter struct {
	zerolog.LevelWriter
	level *logLevel
}

func (f levelFilter) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	if !f.level.lets(level) {
		return len(p), nil
	}
	return f.LevelWriter.WriteLevel(level, p)
}
