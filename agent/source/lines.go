package source

import (
	"bytes"
	"context"
	"time"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// lineFeed stores what lines of text say.
type lineFeed struct {
	*feed
	parse    reading.Parser
	splitter reading.Splitter
	pace     pace
	lines    [][]byte // that the splitter has found
}

// maxLines share one commit.
const maxLines = 500

func newLineFeed(f *feed, parse reading.Parser, perSecond int) *lineFeed {
	return &lineFeed{feed: f, parse: parse, splitter: reading.Splitter{Max: f.cfg.Limits.maxPayload()}, pace: pace{perSecond: perSecond}}
}

// push takes the next bytes of a stream and returns when the lines in them are
// stored. A line that has no meaning is counted, and the next one looked at.
func (l *lineFeed) push(ctx context.Context, b []byte) error {
	l.splitter.Push(b, l.found, func(err error) { l.tally.refused(1, err) })
	return l.flush(ctx)
}

// end is push for the end of the stream.
func (l *lineFeed) end(ctx context.Context) error {
	l.splitter.End(l.found)
	return l.flush(ctx)
}

func (l *lineFeed) found(line []byte) { l.lines = append(l.lines, bytes.Clone(line)) }

func (l *lineFeed) flush(ctx context.Context) error {
	for len(l.lines) > 0 {
		some := l.lines[:min(len(l.lines), maxLines, l.pace.most())]
		if err := l.store(ctx, some); err != nil {
			return err
		}
		l.lines = l.lines[len(some):]
		if !l.pace.wait(ctx, len(some)) {
			return ctx.Err()
		}
	}
	l.lines = nil
	return nil
}

func (l *lineFeed) store(ctx context.Context, lines [][]byte) error {
	sets, bad := l.sets(lines)
	msgs, err := l.messages(sets, time.Now())
	if err == nil {
		err = bad
	}
	if len(msgs) > 0 {
		if storeErr := l.keep(ctx, msgs, l.accept); storeErr != nil {
			if ctx.Err() != nil {
				return storeErr
			}
			err = storeErr // they can never be stored: go on behind them
		}
	}
	l.report(err)
	return nil
}

// sets parses lines; the error is about the last one that has no meaning.
func (l *lineFeed) sets(lines [][]byte) (sets []reading.Set, err error) {
	for _, line := range lines {
		set, parseErr := l.parse(line)
		if parseErr != nil {
			err = parseErr
			l.tally.refused(1, parseErr)
			continue
		}
		sets = append(sets, set)
	}
	return sets, err
}

// report shows what was wrong with some lines, if anything was.
func (l *lineFeed) report(err error) {
	if err != nil {
		l.fail(err)
	} else {
		l.works()
	}
}

// pace bounds how many lines are taken in a second.
type pace struct {
	perSecond int // 0: no bound
	next      time.Time
}

// most returns how many lines may be taken together.
func (p *pace) most() int {
	if p.perSecond == 0 {
		return maxLines
	}
	return p.perSecond
}

// wait returns when more may be taken after n lines, or false if ctx has ended.
// Those n may have come at once.
func (p *pace) wait(ctx context.Context, n int) bool {
	if p.perSecond == 0 {
		return ctx.Err() == nil
	}
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(n) * time.Second / time.Duration(p.perSecond))
	return wait(ctx, p.next.Sub(now))
}
