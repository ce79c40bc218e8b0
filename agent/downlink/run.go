package downlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// actionTime bounds one command: a module takes about a minute to restart.
	actionTime = 2 * time.Minute
	// answerTime bounds the commit of an answer when the agent is told to stop, which has ten seconds in all.
	answerTime = 3 * time.Second
	// storeAgain is how long to wait for a disk that has no room.
	storeAgain = 10 * time.Second
)

// Run carries commands out, one after the other, until ctx ends, and returns nil then. It begins with what an earlier
// process has left.
func (d *Downlink) Run(ctx context.Context) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-d.work:
			if !d.finish(ctx) {
				d.work <- struct{}{} // for a later Run
				return nil
			}
			d.turn <- struct{}{}
		case topic := <-d.notice:
			d.tooLarge(ctx, topic)
		case <-ctx.Done():
			return nil
		}
	}
}

// begin reads what is remembered, the first time.
func (d *Downlink) begin(ctx context.Context) error {
	select {
	case <-d.known:
		return nil
	default:
	}
	data, err := d.cfg.Store.Cursor(cursor)
	if err == nil {
		d.book, err = decodeBook(data)
	}
	if err != nil {
		// Forgetting is the lesser evil: what comes again is either stale or harmless, or is refused by its sender's id.
		d.cfg.Log.Error().Err(err).Msg("which commands were carried out is not known any more")
	}
	close(d.known)
	if d.book.pending != nil {
		d.work <- struct{}{}
	} else {
		d.turn <- struct{}{}
	}
	return ctx.Err()
}

// finish carries the pending command out and stores its answer. It reports false when ctx ended first, with the command still
// pending.
func (d *Downlink) finish(ctx context.Context) bool {
	p := d.book.pending
	c, err := Parse(p.name, p.payload)
	var result any
	if err == nil {
		result, err = d.perform(ctx, &c)
	}
	if ctx.Err() != nil && err != nil {
		if !d.book.pending.begun {
			return false // the next process may carry it out
		}
		err = interrupted()
	}
	next := d.book.with(c.ID)
	next.pending = nil
	answer := answerTo(c.ID, c.Name, result, err)
	for {
		saveCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
		saveErr := d.save(saveCtx, next, d.message(answer))
		cancel()
		switch {
		case saveErr == nil:
			d.count(d.cfg.Topic+"/"+c.Name, err == nil)
			d.cfg.Log.Info().AnErr("failure", err).Str("id", c.ID).Str("command", c.Name).Msg("command answered")
			return true
		case ctx.Err() != nil:
			return false
		}
		d.cfg.Log.Error().Err(saveErr).Str("id", c.ID).Msg("the answer to a command can't be stored")
		answer = answerTo(c.ID, c.Name, nil, errors.Join(err, fmt.Errorf("the result could not be stored: %w", saveErr)))
		sleep(ctx, storeAgain)
	}
}

// perform carries out a command that is on disk. What must begin only once is noted first.
func (d *Downlink) perform(ctx context.Context, c *Command) (any, error) {
	p := d.book.pending
	if p.begun {
		return nil, interrupted()
	}
	if err := d.permit(c, d.current()); err != nil {
		return nil, err
	}
	action, own := d.cfg.Actions[c.Name]
	if !own {
		action = Action{Once: true, Run: func(ctx context.Context, args json.RawMessage) (any, error) {
			return nil, d.cfg.Forward(ctx, c.Name, forwarded(args))
		}}
	}
	if action.Once {
		begun := *p
		begun.begun = true
		if err := d.save(ctx, book{ids: d.book.ids, pending: &begun}); err != nil {
			return nil, fmt.Errorf("not begun, since that can't be noted: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, actionTime)
	defer cancel()
	return action.Run(ctx, c.Args)
}

func interrupted() error {
	return refuse(CodeInterrupted, "the agent ended while it carried this out: it may or may not have been done")
}

// forwarded is what local software gets: the text of a JSON string, or the JSON as it is.
func forwarded(args json.RawMessage) []byte {
	var text string
	if bytes.HasPrefix(args, []byte(`"`)) && json.Unmarshal(args, &text) == nil {
		return []byte(text)
	}
	return args
}

// tooLarge answers a message that nobody has read. It needs the turn for the quota and the book, but doesn't wait for it.
func (d *Downlink) tooLarge(ctx context.Context, topic string) {
	select {
	case <-d.turn:
	default:
		return // it is in the log
	}
	defer func() { d.turn <- struct{}{} }()
	s := d.current()
	if ok, _ := d.quota.spend(time.Now(), s.Rate); !ok {
		return
	}
	name := strings.TrimPrefix(topic, d.cfg.Topic+"/")
	if !validName(name) {
		name = ""
	}
	why := refuse(CodeTooLarge, "the message was read past; at most %d bytes are taken (downlink.max_bytes)", s.MaxBytes)
	if err := d.save(ctx, d.book, d.message(answerTo("", name, nil, why))); err != nil {
		d.cfg.Log.Error().Err(err).Msg("the answer to a command can't be stored")
	}
}

func sleep(ctx context.Context, t time.Duration) {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
