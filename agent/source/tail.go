package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

// A CursorSink is a Sink that also keeps, in the same transaction as the
// messages, how far a source has come.
type CursorSink interface {
	Sink
	AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (first uint64, err error)
	Cursor(name string) ([]byte, error)
}

// TailConfig describes a file that others append lines to.
type TailConfig struct {
	ReadingConfig
	Store     CursorSink // instead of ReadingConfig.Sink
	Path      string
	FromStart bool // where to begin with a file that was never read before
	Format    reading.Format
	MaxRate   int // lines in a second; 0: no bound
}

// Tail stores the lines of a file, each once: where it stopped is known after a
// crash as well. It follows a file that is renamed and made anew, and one that
// is copied and cut to nothing.
type Tail struct {
	*lineFeed
	cfg     TailConfig
	reader  lineReader // of the open file
	pos     position   // how far it was read
	saved   position   // what the store knows
	savedAt time.Time
	later   []string // younger generations that are to be read before the file itself
}

// NewTail makes a source; Run opens the file.
func NewTail(cfg TailConfig) (*Tail, error) {
	if cfg.Store == nil || cfg.Path == "" {
		return nil, errors.New("source: tail needs a Store and a Path")
	}
	cfg.Sink = cfg.Store
	f, err := newFeed("tail", cfg.Path, cfg.ReadingConfig)
	if err != nil {
		return nil, err
	}
	parse, err := reading.NewParser(cfg.Format)
	return &Tail{lineFeed: newLineFeed(f, parse, cfg.MaxRate), cfg: cfg}, err
}

const (
	// tailTick is how often the file is looked at when it doesn't grow.
	tailTick = time.Second
	// idleSave spares the flash: progress without a message need not be stored
	// soon, since repeating it makes no message either.
	idleSave = time.Minute
)

// Run reads until ctx ends and returns nil then.
func (s *Tail) Run(ctx context.Context) error {
	return s.guard(ctx, func(ctx context.Context) error {
		defer s.letGo()
		defer s.saveAtEnd(ctx)
		for {
			more, err := s.step(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				s.fail(fmt.Errorf("source: %s: %w", s.cfg.Path, err))
			}
			if (err != nil || !more) && !wait(ctx, tailTick) {
				return nil
			}
		}
	})
}

func (s *Tail) letGo() {
	if s.reader.file != nil {
		s.reader.file.Close()
		s.reader.file = nil
	}
}

// step reads some lines, or finds out which file comes next. It reports whether
// there is more to do at once.
func (s *Tail) step(ctx context.Context) (more bool, err error) {
	if s.reader.file == nil {
		return s.begin(ctx)
	}
	if !s.pos.holds(s.reader.file) { // cut to nothing, and perhaps written anew
		s.letGo()
		return s.resume(s.pos)
	}
	if more, err = s.read(ctx, false); more || err != nil {
		return more, err
	}
	if err := s.saveIdle(ctx); err != nil {
		return false, err
	}
	return s.proceed(ctx)
}

// begin opens the file for the first time in this run.
func (s *Tail) begin(ctx context.Context) (more bool, err error) {
	stored, err := s.cfg.Store.Cursor(s.name)
	if stored != nil && err == nil {
		p, parseErr := parsePosition(stored)
		if parseErr == nil {
			s.saved = p
			return s.resume(p)
		}
		err = parseErr
	}
	if err != nil { // repeats are better than a gap
		s.log.Warn().Err(err).Msg("where the file was left is not known: it is read from its start")
		return s.openNew(0)
	}
	if s.cfg.FromStart {
		return s.openNew(0)
	}
	more, err = s.openNew(-1)
	if errors.Is(err, fs.ErrNotExist) { // when it appears, all of it will be new
		err = errors.Join(err, s.save(ctx, position{}, nil))
	}
	if err == nil {
		err = s.save(ctx, s.pos, nil)
	}
	return more, err
}

// resume opens the file that the position is in, whatever its name is now.
func (s *Tail) resume(p position) (more bool, err error) {
	file, inode, later := locate(s.cfg.Path, p)
	if file == nil {
		if p.Offset > 0 {
			if _, err := os.Stat(s.cfg.Path); err != nil {
				return false, err // it may come back
			}
			s.log.Warn().Int64("offset", p.Offset).Msg("the file was replaced: what it had beyond the offset was not read")
		}
		return s.openNew(0)
	}
	s.open(file, inode, p, later)
	return true, nil
}

// openNew opens the file itself, at the offset or, if that is negative, behind
// its last whole line.
func (s *Tail) openNew(offset int64) (more bool, err error) {
	file, inode, err := openFile(s.cfg.Path)
	if err != nil {
		return false, err
	}
	if offset < 0 {
		if offset, err = lastLineEnd(file); err != nil {
			file.Close()
			return false, err
		}
	}
	sum, err := sumAt(file, offset)
	if err != nil {
		file.Close()
		return false, err
	}
	s.open(file, inode, position{Offset: offset, Sum: sum}, nil)
	return true, nil
}

func (s *Tail) open(file *os.File, inode uint64, p position, later []string) {
	s.letGo()
	p.Inode = inode
	s.reader = lineReader{file: file, most: s.splitter.Max, buf: s.reader.buf}
	s.pos, s.later = p, later
	s.works()
}

// lastLineEnd returns the offset behind the last end of line.
func lastLineEnd(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	b := make([]byte, 4096)
	for end := info.Size(); end > 0; {
		part := b[:min(end, int64(len(b)))]
		if _, err := f.ReadAt(part, end-int64(len(part))); err != nil {
			return 0, err
		}
		for i := len(part) - 1; i >= 0; i-- {
			if part[i] == '\n' {
				return end - int64(len(part)-1-i), nil
			}
		}
		end -= int64(len(part))
	}
	return 0, nil
}

// read stores the next lines. With last the file will not grow any more.
func (s *Tail) read(ctx context.Context, last bool) (more bool, err error) {
	lines, after, tooLong, err := s.reader.next(s.pos, min(maxLines, s.pace.most()), last)
	if err != nil || after == s.pos {
		return false, err
	}
	if tooLong > 0 {
		s.tally.refused(tooLong, fmt.Errorf("source: a line has more than %d bytes", s.splitter.Max))
	}
	sets, bad := s.sets(lines)
	msgs, err := s.messages(sets, time.Now())
	if err == nil {
		err = bad
	}
	if len(msgs) > 0 {
		if storeErr := s.save(ctx, after, msgs); storeErr != nil {
			if ctx.Err() != nil {
				return false, storeErr
			}
			err = storeErr // they can never be stored: go on behind them
		}
	}
	s.pos = after
	s.report(err)
	return s.pace.wait(ctx, len(lines)), nil
}

// proceed goes to the next generation once the writer has.
func (s *Tail) proceed(ctx context.Context) (more bool, err error) {
	if len(s.later) == 0 {
		info, err := os.Stat(s.cfg.Path)
		if err != nil || inodeOf(info) == s.pos.Inode {
			return false, nil // if it was renamed, it isn't there anew yet
		}
		s.later = successors(s.cfg.Path, s.pos.Inode)
	}
	next := s.later[0]
	info, err := os.Stat(next)
	switch {
	case err != nil || inodeOf(info) == s.pos.Inode:
		s.later = s.later[1:]
		return true, nil
	case info.Size() == 0 && next == s.cfg.Path:
		return false, nil // nobody writes to it yet, perhaps still to this one
	}
	for { // what was written to this one meanwhile is all that it will have
		more, err := s.read(ctx, true)
		if err != nil || ctx.Err() != nil {
			return false, err
		}
		if !more {
			break
		}
	}
	file, inode, err := openFile(next)
	if err != nil {
		return false, err
	}
	s.open(file, inode, position{}, s.later[1:])
	return true, nil
}

// save stores messages together with the position behind the lines that they
// are made of.
func (s *Tail) save(ctx context.Context, p position, msgs []queue.Message) error {
	value, err := json.Marshal(p)
	if err != nil {
		return err
	}
	err = s.keep(ctx, msgs, func(ctx context.Context, msgs []queue.Message) error {
		_, err := s.cfg.Store.AcceptAt(ctx, queue.Cursor{Name: s.name, Value: value}, msgs...)
		return err
	})
	if err == nil {
		s.saved, s.savedAt = p, time.Now()
	}
	return err
}

// saveIdle stores progress that made no message, from time to time.
func (s *Tail) saveIdle(ctx context.Context) error {
	if s.pos == s.saved || time.Since(s.savedAt) < idleSave {
		return nil
	}
	return s.save(ctx, s.pos, nil)
}

// saveAtEnd stores it when the source stops.
func (s *Tail) saveAtEnd(ctx context.Context) {
	if s.reader.file == nil || s.pos == s.saved {
		return
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.save(limit, s.pos, nil); err != nil {
		s.log.Warn().Err(err).Msg("where the file was left could not be stored; lines that made no message are read again")
	}
}
