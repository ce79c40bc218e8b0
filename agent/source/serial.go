package source

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// SerialConfig describes a serial port on which a device sends lines of text.
type SerialConfig struct {
	ReadingConfig
	Port   string
	Baud   int
	Mode   string // data bits, parity and stop bits: "8N1"
	Format reading.Format
}

// Serial stores the lines that come on a serial port.
type Serial struct {
	*feed
	cfg   SerialConfig
	parse reading.Parser
}

// NewSerial makes a source; Run opens the port.
func NewSerial(cfg SerialConfig) (*Serial, error) {
	if cfg.Port == "" {
		return nil, errors.New("source: serial needs a Port")
	}
	if _, err := serialMode(cfg.Baud, cfg.Mode); err != nil {
		return nil, err
	}
	f, err := newFeed("serial", cfg.Port, cfg.ReadingConfig)
	if err != nil {
		return nil, err
	}
	parse, err := reading.NewParser(cfg.Format)
	return &Serial{feed: f, cfg: cfg, parse: parse}, err
}

// serialTick is how often a silent port is left to look whether to stop.
const serialTick = 250 * time.Millisecond

// Run reads until ctx ends and returns nil then. A port that is missing is
// opened as soon as it is there.
func (s *Serial) Run(ctx context.Context) error {
	return s.guard(ctx, func(ctx context.Context) error {
		for pause := shortestPause; ; pause = min(2*pause, longestPause) {
			begin := time.Now()
			err := s.follow(ctx)
			if ctx.Err() != nil {
				return nil
			}
			s.fail(err)
			if time.Since(begin) >= steady {
				pause = shortestPause
			}
			if !wait(ctx, pause) {
				return nil
			}
		}
	})
}

// follow reads from the port until it is gone. The first line, which may have
// begun before the port was opened, is dropped unless it has a meaning.
func (s *Serial) follow(ctx context.Context) error {
	port, err := openSerial(s.cfg.Port, s.cfg.Baud, s.cfg.Mode, serialTick)
	if err != nil {
		return err
	}
	defer port.Close()
	s.works()
	l := newLineFeed(s.feed, s.parse, 0)
	chunk := make([]byte, 4096)
	for ctx.Err() == nil {
		n, err := port.Read(chunk)
		if err != nil {
			return port.lost(err)
		}
		if n == 0 { // nothing came within the tick
			continue
		}
		if err := l.push(ctx, chunk[:n]); err != nil {
			return err
		}
	}
	return ctx.Err()
}
