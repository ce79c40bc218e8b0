package source

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

// ReadingConfig is what all sources that read something by themselves need.
type ReadingConfig struct {
	Name   string // of the source, different for each
	Sink   Sink
	Limits Limits
	Rule   reading.Rule // its Source and Origin are set from Name
	Log    zerolog.Logger
	Trust  func(now time.Time) queue.Trust // of the wall clock; nil: agent.ClockTrust
}

// A feed brings what a source reads into the store, and the source's troubles
// into the status. Its methods belong to the goroutine of the source's Run.
type feed struct {
	kind, name string
	cfg        ReadingConfig
	log        zerolog.Logger
	tally      tally
	maker      *reading.Maker
	trouble    string // the last failure that was logged; "" if all is well
}

func newFeed(kind, address string, cfg ReadingConfig) (*feed, error) {
	if cfg.Sink == nil || cfg.Name == "" {
		return nil, fmt.Errorf("source: %s needs a Sink and a Name", kind)
	}
	if cfg.Trust == nil {
		cfg.Trust = agent.ClockTrust
	}
	f := &feed{kind: kind, name: kind + ":" + cfg.Name, cfg: cfg}
	f.cfg.Rule.Source, f.cfg.Rule.Origin = cfg.Name, f.name
	f.log = quiet(cfg.Log, f.name)
	f.maker = reading.NewMaker(f.cfg.Rule)
	f.tally.listening(f.name, address)
	return f, nil
}

// Name returns the kind and the name of the source.
func (f *feed) Name() string { return f.name }

// Status returns what was taken in since the start.
func (f *feed) Status() agent.SourceStatus { return f.tally.read() }

// guard runs the source. A panic over something that nobody has thought of
// ends the run, and neither the process nor the other sources.
func (f *feed) guard(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("source: %s broke down: %.200v", f.name, p)
			f.log.Error().Err(err).Bytes("stack", debug.Stack()).Msg("please report this")
			f.tally.failed(err)
		}
	}()
	return run(ctx)
}

// fail shows a failure of reading, and logs it if it is a new one.
func (f *feed) fail(err error) {
	f.tally.failed(errors.New(withoutPackage(err)))
	if text := err.Error(); text != f.trouble {
		f.trouble = text
		f.log.Warn().Err(err).Msg("can't read, trying again")
	}
}

// withoutPackage returns the text of an error for a person who doesn't care
// which package it comes from.
func withoutPackage(err error) string {
	text := err.Error()
	for _, name := range []string{"source: ", "reading: ", "sysfs: "} {
		text = strings.TrimPrefix(text, name)
	}
	return text
}

// works ends a failure.
func (f *feed) works() {
	f.tally.healthy()
	if f.trouble != "" {
		f.trouble = ""
		f.log.Info().Msg("reading again")
	}
}

// messages returns what is to be stored of the sets that were read now. What
// can never be stored is counted and left out; the error is about the last of
// it.
func (f *feed) messages(sets []reading.Set, now time.Time) (msgs []queue.Message, err error) {
	trust := f.cfg.Trust(now)
	for _, set := range sets {
		made, makeErr := f.maker.Make(set, now, trust)
		if makeErr != nil {
			err = makeErr
			f.tally.refused(1, makeErr)
			continue
		}
		for _, m := range made {
			if checkErr := f.cfg.Limits.Check(m); checkErr != nil {
				err = checkErr
				f.tally.refused(1, checkErr)
				continue
			}
			msgs = append(msgs, m)
		}
	}
	return msgs, err
}

// poll reads at once and then at each interval until ctx ends. What can't be
// stored is refused: the next reading is a better one.
func (f *feed) poll(ctx context.Context, interval time.Duration, read func(context.Context) ([]reading.Set, error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		sets, err := read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if storeErr := f.storeOnce(ctx, sets); err == nil {
			err = storeErr
		} else if storeErr != nil {
			err = fmt.Errorf("%w; %w", err, storeErr)
		}
		if err != nil {
			f.fail(err)
		} else {
			f.works()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *feed) storeOnce(ctx context.Context, sets []reading.Set) error {
	msgs, err := f.messages(sets, time.Now())
	if len(msgs) == 0 {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	if _, storeErr := f.cfg.Sink.Accept(limit, msgs...); storeErr != nil {
		f.maker.Rollback()
		f.tally.refused(len(msgs), storeErr)
		return storeErr
	}
	f.maker.Commit()
	f.tally.accepted(msgs)
	return err
}

// The pauses between attempts to store, or to open what is gone.
const (
	shortestPause = time.Second
	longestPause  = 30 * time.Second
)

// keep stores messages that come only once, and waits as long as it takes:
// whoever sends them waits meanwhile. It fails if ctx ends, or if they can never
// be stored. There may be no messages, if put has something to store beside them.
func (f *feed) keep(ctx context.Context, msgs []queue.Message, put func(context.Context, []queue.Message) error) error {
	read := time.Now()
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		limit, cancel := context.WithTimeout(ctx, acceptTimeout)
		err := put(limit, msgs)
		cancel()
		if err == nil {
			f.maker.Commit()
			if len(msgs) > 0 {
				f.tally.accepted(msgs)
			}
			return nil
		}
		reason := ReasonOf(err)
		if ctx.Err() != nil || reason == Invalid || reason == TooLarge {
			f.maker.Rollback()
			f.tally.refused(len(msgs), err)
			return err
		}
		f.fail(fmt.Errorf("source: %s waits, since nothing can be stored: %w", f.name, err))
		for i := range msgs { // they are older than the moment that they will be stored at
			if msgs[i].Time.IsZero() {
				msgs[i].Time, msgs[i].Trust = read, f.cfg.Trust(read)
			}
		}
		if !wait(ctx, pause) {
			f.maker.Rollback()
			return ctx.Err()
		}
	}
}

// accept is the put of keep for a plain Sink.
func (f *feed) accept(ctx context.Context, msgs []queue.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	_, err := f.cfg.Sink.Accept(ctx, msgs...)
	return err
}

// wait returns after d, or false as soon as ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
