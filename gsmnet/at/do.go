package at

import (
	"errors"
	"slices"
	"strings"
	"time"
)

var errCancelled = errors.New("at: wait cancelled")

// Do sends a command and waits for its reply. It resynchronises first when an earlier answer may still be on its way.
// Command.Blind leaves that out.
// The error is an *Error when the module refused; then the dialogue is fine. After ErrTimeout and ErrDamaged the next
// command resynchronises first.
func (d *Dialogue) Do(c Command) (Reply, error) {
	if d.dirty && !c.Blind {
		if _, err := d.Resync(); err != nil {
			return Reply{}, err
		}
	}
	if !d.Drain() {
		return Reply{}, d.failed
	}
	return d.do(&c)
}

func (d *Dialogue) do(c *Command) (Reply, error) {
	d.stats.Commands++
	d.pending, d.came = c, nil
	defer func() { d.pending = nil }()
	if c.Payload != nil {
		d.promised, d.owed, d.freeForm = len(c.Payload), c.Payload, c.FreeForm
	}
	if err := d.put([]byte(c.Line + "\r")); err != nil {
		return Reply{}, err
	}
	wait := c.Timeout
	if c.Payload != nil && c.Prompt > 0 {
		wait = c.Prompt
	}
	var r Reply
	before := d.strays()
	err := d.collect(c, &r, wait, nil)
	r.Strays = d.strays() - before
	var refused *Error
	switch {
	case err == nil || errors.As(err, &refused):
		d.promised, d.owed = 0, nil
		d.swallow(c, r.early)
	case errors.Is(err, ErrTimeout):
		d.stats.Timeouts++
		d.dirty, d.late = true, c.Line
		err = &TimeoutError{Verb: verb(c.Line), Wait: wait, Came: d.came}
	case errors.Is(err, ErrDamaged):
		d.stats.Damaged++
		d.dirty = true
	case errors.Is(err, ErrRestarted):
		d.dirty, d.promised, d.owed = true, 0, nil
	}
	return r, err
}

// strays counts the lines that were dropped because they mean nothing, or are too long to.
func (d *Dialogue) strays() uint64 {
	s := d.Stats()
	return s.Strays + s.Overlong
}

// Await waits for a line without sending anything: the result that a command has promised for later, such as CONNECT OK.
// When cancel is closed first it returns false and no error, and what was awaited may still come.
func (d *Dialogue) Await(c Command, cancel <-chan struct{}) (r Reply, came bool, err error) {
	d.pending = &c
	defer func() { d.pending = nil }()
	err = d.collect(&c, &r, c.Timeout, cancel)
	if errors.Is(err, errCancelled) {
		return r, false, nil
	}
	return r, true, err
}

// collect takes tokens until the command has ended.
func (d *Dialogue) collect(c *Command, r *Reply, wait time.Duration, cancel <-chan struct{}) error {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	end := time.Now().Add(wait)
	nearEnd := false
	for {
		t, err := d.next(limit.C, cancel)
		if nearEnd && errors.Is(err, ErrTimeout) {
			if d.enough(c, r) {
				d.dirty, d.late = true, c.Line
				return nil
			}
			nearEnd = false
			limit.Reset(time.Until(end))
			continue
		}
		if err != nil {
			return err
		}
		switch t.Kind {
		case Whole:
			if c.Counted {
				nearEnd = true
				limit.Reset(trailing)
			}
		case Prompt:
			if c.Payload == nil || r.Prompted {
				d.handle(t)
				continue
			}
			r.Prompted, d.owed = true, nil
			if c.MayEcho {
				d.expectEcho(c.Payload)
			}
			if err := d.put(c.Payload); err != nil {
				return err
			}
			limit.Reset(c.Timeout)
		case Data:
			if !c.Counted || strings.HasPrefix(t.Text, pushedHead) { // pushed data answers no command
				d.handle(t)
				continue
			}
			r.Data, r.Head = append(r.Data, t.Data), t.Text
			nearEnd = true
			limit.Reset(trailing)
		case Damage:
			if c.Counted {
				return ErrDamaged
			}
			d.handle(t)
		case Line:
			switch v, err := d.line(c, r, t); {
			case v == Done, v == Failed:
				return err
			case v == Told, v == Bare && !nearEnd:
				nearEnd = true
				limit.Reset(afterBare)
			}
		default:
			d.cfg.URC(t)
		}
	}
}

// line gives a line to the command, or past the gate: to the URCs or to the strays.
func (d *Dialogue) line(c *Command, r *Reply, t Token) (Verdict, error) {
	if d.isEcho(t.Text, c.Line) {
		return More, nil
	}
	accept := c.Accept
	if accept == nil {
		accept = Final
	}
	v := accept(t.Text)
	switch v {
	case Info, Told:
		r.Lines = append(r.Lines, t.Text)
	case More, Bare:
		r.early = append(r.early, t.Text)
		d.noteCame(t.Text)
		if v == Bare {
			r.Final = t.Text
		}
	case Done:
		r.Final = t.Text
	case Failed:
		r.Final = t.Text
		return v, refusal(c.Line, t.Text)
	case Foreign:
		d.handle(t)
		if ends(t.Text) {
			return Failed, ErrRestarted
		}
	}
	return v, nil
}

// afterBare is how long the information is waited for behind an OK that has come without it, and the OK behind the information. Modules
// print both within one scheduling tick; the slowest speed takes half a second for the longest such line.
const afterBare = time.Second

// enough reports whether a reply that has not come to its end says what was asked: a block whose bytes are all here, of a module that
// ends it with no OK (as the guide prints it, G5.4), the information alone, or an OK and nothing else.
func (d *Dialogue) enough(c *Command, r *Reply) bool {
	if c.Counted {
		d.mu.Lock()
		t, ok := d.scan.TakeWhole()
		d.mu.Unlock()
		if ok {
			r.Data, r.Head = append(r.Data, t.Data), t.Text
		}
	}
	return len(r.Data) > 0 || len(r.Lines) > 0 || len(r.early) > 0
}

// swallow waits a moment for the lines that may follow a finished reply and would else answer the next command.
func (d *Dialogue) swallow(c *Command, early []string) {
	late := slices.DeleteFunc(slices.Clone(c.Trailing), func(s string) bool { return slices.Contains(early, s) })
	if len(late) == 0 {
		return
	}
	limit := time.NewTimer(trailing)
	defer limit.Stop()
	for {
		t, err := d.next(limit.C, nil)
		if err != nil {
			return
		}
		if t.Kind == Line && slices.Contains(late, t.Text) {
			return
		}
		d.handle(t)
	}
}

func (d *Dialogue) expectEcho(p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scan.ExpectEcho(p)
}

// Pause lets time pass between two commands; what arrives is handled. It returns early when wake gets something, and
// reports false when the port has ended or Stop was called.
func (d *Dialogue) Pause(t time.Duration, wake <-chan struct{}) bool {
	limit := time.NewTimer(t)
	defer limit.Stop()
	for {
		t, err := d.next(limit.C, wake)
		switch {
		case err == nil:
			d.handle(t)
		case errors.Is(err, ErrTimeout), errors.Is(err, errCancelled):
			return true
		default:
			return false
		}
	}
}
