package agent

import (
	"context"
	"errors"
	"time"
)

// supervise keeps a session standing until ctx ends.
func (a *Agent) supervise(ctx context.Context) {
	if a.cfg.Hold > 0 {
		now := time.Now()
		a.board.failed(errors.New(a.cfg.HoldWhy), now.Add(a.cfg.Hold), now)
		a.cfg.Log.Warn().Stringer("for", a.cfg.Hold.Round(time.Second)).Msg(a.cfg.HoldWhy)
		a.rest(ctx, a.cfg.Hold)
	}
	var rival rival
	for ctx.Err() == nil {
		session, resume, err := a.connect(ctx)
		var stood time.Duration
		if err == nil {
			begin := time.Now()
			err = a.serve(ctx, session, resume, newTrip())
			stood = time.Since(begin)
			err = rival.ended(err, stood)
			if err == errReturning || err == errAsked {
				a.board.down(nil, time.Now())
				a.cfg.Log.Info().Str("broker", a.cfg.Link.Broker()).Msg(err.Error())
				continue
			}
			a.board.down(err, time.Now())
		}
		if ctx.Err() != nil {
			return
		}
		a.forNet.Store(endsWithNetwork(err))
		wait := a.cfg.Retry(err, stood)
		now := time.Now()
		a.board.failed(err, now.Add(wait), now)
		a.cfg.Log.Warn().Err(err).Str("broker", a.cfg.Link.Broker()).Str("cause", string(CauseOf(err))).Stringer("stood", stood.Round(time.Second)).
			Stringer("again_in", wait.Round(time.Millisecond)).Msg("link is down")
		a.rest(ctx, wait)
	}
}

// connect makes one attempt. It also returns what it has asked the session to resume.
func (a *Agent) connect(ctx context.Context) (Session, []Resume, error) {
	a.forgetGone()
	resume, err := a.resume()
	if err != nil {
		return nil, nil, err
	}
	a.board.tries()
	begin := time.Now()
	session, err := a.cfg.Link.Connect(ctx, resume, a.report)
	if err != nil {
		return nil, nil, err
	}
	a.board.up(session, time.Now())
	a.cfg.Log.Info().Str("broker", a.cfg.Link.Broker()).Int("resumed", len(session.Resumed())).
		Stringer("took", time.Since(begin).Round(time.Millisecond)).Msg("connected")
	if n := forgotten(session, resume); n > 0 {
		a.board.count(func(d *DeliveryStatus) { d.SessionsLost++ })
		a.cfg.Log.Warn().Str("broker", a.cfg.Link.Broker()).Int("messages", n).
			Msg("this broker has no session with what was on its way: it is published again, and may arrive a second time")
	}
	return session, resume, nil
}

// forgotten is how many messages were on their way that the broker doesn't know any more, although a session was expected.
func forgotten(s Session, resume []Resume) (messages int) {
	if len(s.Resumed()) > 0 {
		return 0
	}
	for _, r := range resume {
		if !r.Anew && !r.Gone {
			messages += 1 + len(r.Flight.More)
		}
	}
	return messages
}

// forgetGone drops what is remembered of messages that have left the queue undelivered.
func (a *Agent) forgetGone() {
	gone := func(seq uint64) bool {
		_, err := a.cfg.Queue.Get(seq)
		return isGone(err)
	}
	for _, seq := range a.board.sentList() {
		if gone(seq) {
			a.board.forget(seq)
		}
	}
	for seq := range a.trials {
		if gone(seq) {
			delete(a.trials, seq)
		}
	}
}

// report is what the link is given to tell where a step stands.
func (a *Agent) report(step Step, state StepState, why string) {
	if a.board.report(step, state, why, time.Now()) {
		if state == StepOK && a.forNet.Load() {
			a.Kick() // the network is back: nobody waits out the time that was meant for a broker
		}
		a.cfg.Log.Debug().Str("step", string(step)).Str("state", string(state)).Msg(why)
	}
}

// rest waits before the next attempt, unless someone kicks.
func (a *Agent) rest(ctx context.Context, d time.Duration) {
	select {
	case <-a.kick: // an old kick was meant for an earlier wait
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-a.kick:
	case <-ctx.Done():
	}
}

// resume lists what was on its way when the last session ended, in this process or before it.
func (a *Agent) resume() ([]Resume, error) {
	flights, err := a.cfg.Queue.Flights()
	if err != nil {
		return nil, err
	}
	a.forgetStubborn(flights)
	var list []Resume
	anew := false // something is published anew, from the queue: what was sent after it must not arrive before it
	for _, f := range flights {
		r, ok, err := a.resumption(f)
		if err != nil {
			return nil, err
		}
		if anew && r.Message.Topic != "" && r.Message.QoS < 2 { // at QoS 2 it would be a second delivery
			ok = false
		}
		if ok {
			list = append(list, r)
		} else {
			anew = true
		}
	}
	return list, nil
}
