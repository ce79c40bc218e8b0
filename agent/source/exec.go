package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// ExecConfig describes a program whose output is readings.
type ExecConfig struct {
	ReadingConfig
	Command  []string       // the program by its absolute path, and its arguments
	Interval time.Duration  // between two runs; 0: it runs all the time
	Timeout  time.Duration  // of a run, or without an interval of silence; 0: 30 s, and none without an interval
	Format   reading.Format // of the lines that it prints
	MaxRate  int            // lines in a second that are read; 0: no bound
}

// Exec runs a program, and stores what it prints line by line. A program that
// hangs is killed with all that it has started.
type Exec struct {
	*feed
	cfg   ExecConfig
	parse reading.Parser
}

const defaultRunTimeout = 30 * time.Second

// NewExec makes a source; Run starts the program.
func NewExec(cfg ExecConfig) (*Exec, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("source: exec needs a Command")
	}
	f, err := newFeed("exec", cfg.Command[0], cfg.ReadingConfig)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 && cfg.Interval > 0 {
		cfg.Timeout = defaultRunTimeout
	}
	parse, err := reading.NewParser(cfg.Format)
	return &Exec{feed: f, cfg: cfg, parse: parse}, err
}

// Run runs the program until ctx ends, and returns nil when all of it has ended.
func (s *Exec) Run(ctx context.Context) error {
	return s.guard(ctx, func(ctx context.Context) error {
		if s.cfg.Interval > 0 {
			return s.poll(ctx, s.cfg.Interval, s.once)
		}
		return s.forever(ctx)
	})
}

// once runs the program and returns what it has printed.
func (s *Exec) once(ctx context.Context) ([]reading.Set, error) {
	out, err := s.output(ctx)
	if err != nil {
		return nil, err
	}
	if s.cfg.Format.Kind == "json" { // may stand over several lines
		one := bytes.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return ' '
			}
			return r
		}, bytes.TrimSpace(out))
		if set, err := s.parse(one); err == nil {
			return []reading.Set{set}, nil
		}
	}
	l := newLineFeed(s.feed, s.parse, 0)
	l.splitter.Push(out, l.found, func(err error) { s.tally.refused(1, err) })
	l.splitter.End(l.found)
	if len(l.lines) == 0 {
		return nil, fmt.Errorf("source: %s printed nothing", s.cfg.Command[0])
	}
	return l.sets(l.lines)
}

// output runs the program to its end.
func (s *Exec) output(ctx context.Context) ([]byte, error) {
	limit, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	p, err := startProcess(s.cfg.Command)
	if err != nil {
		return nil, err
	}
	defer p.stdout.Close()
	stop := context.AfterFunc(limit, p.kill)
	defer stop()
	most := s.cfg.Limits.maxPayload()
	out, err := io.ReadAll(io.LimitReader(p.stdout, int64(most)+1))
	tooMuch := len(out) > most
	if tooMuch {
		p.kill()
	}
	p.wait(ctx)
	switch {
	case tooMuch:
		return nil, fmt.Errorf("source: %s printed more than %d bytes and was killed", s.cfg.Command[0], most)
	case limit.Err() != nil:
		return nil, fmt.Errorf("source: %s ran longer than %v and was killed", s.cfg.Command[0], s.cfg.Timeout)
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("source: reading what %s prints: %w", s.cfg.Command[0], err)
	}
	return out, p.outcome()
}

// steady is how long a program must have run for its end to be no sign of a
// permanent trouble.
const steady = time.Minute

// forever starts the program again whenever it ends.
func (s *Exec) forever(ctx context.Context) error {
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		begin := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("source: %s has ended; with an interval it is run again and again", s.cfg.Command[0])
		}
		s.fail(err)
		if time.Since(begin) >= steady {
			pause = shortestPause
		}
		if !wait(ctx, pause) {
			return nil
		}
	}
}

// follow runs the program once and stores its lines as they come. As long as
// they can't be stored they aren't read, and the program waits.
func (s *Exec) follow(ctx context.Context) error {
	p, err := startProcess(s.cfg.Command)
	if err != nil {
		return err
	}
	defer p.stdout.Close()
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	defer func() {
		p.kill()
		p.wait(ctx)
	}()
	l := newLineFeed(s.feed, s.parse, s.cfg.MaxRate)
	chunk := make([]byte, 32<<10)
	for {
		if s.cfg.Timeout > 0 && !isClosed(p.ended) {
			_ = p.stdout.SetReadDeadline(time.Now().Add(s.cfg.Timeout))
		}
		n, err := p.stdout.Read(chunk)
		if pushErr := l.push(ctx, chunk[:n]); pushErr != nil {
			return pushErr
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !isClosed(p.ended):
			return fmt.Errorf("source: %s printed nothing for %v and was killed", s.cfg.Command[0], s.cfg.Timeout)
		default:
			if err := l.end(ctx); err != nil {
				return err
			}
			select { // a program may close its output and go on
			case <-p.ended:
			case <-time.After(linger):
				p.kill()
				p.wait(ctx)
			}
			return p.outcome()
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
