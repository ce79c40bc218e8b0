package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// The goodbye to the broker is bounded; by less when the process is to end.
const (
	farewell     = 3 * time.Second
	lastFarewell = 1500 * time.Millisecond
)

// Why a session that works is parted from, to connect again at once.
var (
	errReturning = errors.New("agent: returning to the first broker")
	errAsked     = errors.New("agent: asked to connect again")
)

// sent is a parcel on its way.
type sent struct {
	Receipt
	members []uint64 // the sequences of the messages in it
	orphan  bool     // resumed only to free its packet id: its messages were dropped
}

// serve delivers over one session until it ends or ctx does, and returns why it ended (nil: ctx). When it returns, nothing
// of the session is left.
func (a *Agent) serve(ctx context.Context, s Session, resume []Resume, t *trip) error {
	receipts := make(chan sent, 1024) // wider than any window: the collector never holds the publisher up
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		a.collect(receipts, t)
	}()

	publishing, stopWatching := a.publishing(ctx, s)
	announced := a.announce(publishing, s)
	c := &courier{agent: a, session: s, trip: t, out: receipts, begun: time.Now()}
	err := c.publish(publishing, resume)
	parting := context.Cause(publishing)
	stopWatching()
	close(receipts)
	collected := a.lastWord(ctx, s, parting, counted)

	switch {
	case ctx.Err() != nil, parting == errAsked: // give the proofs of what is in flight a chance
		select {
		case <-collected:
		case <-s.Done():
		case <-time.After(time.Until(a.stopBy())):
		}
	case parting == errReturning: // what is in flight belongs to this broker; the session itself bounds how long it may take
		select {
		case <-collected:
		case <-s.Done():
		}
	}
	broke := s.Err()
	closeBy := time.Now().Add(farewell)
	if ctx.Err() != nil {
		closeBy = a.stopBy().Add(lastFarewell)
	}
	closeCtx, cancel := context.WithDeadline(context.WithoutCancel(ctx), closeBy)
	defer cancel()
	_ = s.Close(closeCtx) // why the session ended is known
	<-collected
	a.accuse(c, announced, broke)

	switch {
	case ctx.Err() != nil:
		return nil
	case broke != nil:
		return broke
	case parting != nil:
		return parting
	}
	return err
}

// stopBy is how long proofs are waited for when the agent stops, or parts from a broker because it was asked to.
func (a *Agent) stopBy() time.Time {
	from := time.Now()
	if asked := a.asked.Load(); asked != nil {
		from = *asked
	}
	return from.Add(a.cfg.StopWait)
}

// publishing is the context of publishing over a session. Its cause says why the session is to be parted from although it
// works. stop waits for its goroutine.
func (a *Agent) publishing(ctx context.Context, s Session) (publishing context.Context, stop func()) {
	select {
	case <-a.part: // an old wish was meant for an earlier session
	default:
	}
	publishing, cancel := context.WithCancelCause(ctx)
	var due <-chan time.Time
	timer := time.NewTimer(0)
	timer.Stop()
	if until := s.Until(); !until.IsZero() {
		timer.Reset(time.Until(until))
		due = timer.C
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.Done():
			cancel(nil)
		case <-due:
			cancel(errReturning)
		case <-a.part:
			cancel(errAsked)
		case <-publishing.Done():
		}
	}()
	return publishing, func() {
		timer.Stop()
		cancel(nil)
		<-watched
	}
}

// courier publishes over one session. It belongs to the goroutine that supervises the link.
type courier struct {
	agent   *Agent
	session Session
	trip    *trip
	out     chan<- sent
	begun   time.Time

	resumed  map[uint64]bool // what the session has sent before all else
	gatherer *gatherer
	suspects suspects
}

// publish hands messages to the session in the order of the queue; what the broker's session still knows goes first and
// isn't published again.
func (c *courier) publish(ctx context.Context, resume []Resume) error {
	a := c.agent
	c.resumed = make(map[uint64]bool)
	for _, r := range c.session.Resumed() {
		was := resumeOf(resume, r.Seq())
		parcel := Parcel{Message: was.Message, More: was.Flight.More}
		parcel.Seq = r.Seq()
		for _, seq := range parcel.members() {
			c.resumed[seq] = true
		}
		if was.Held {
			a.board.passOver(parcel.Message, time.Now())
			c.suspects.held = append(c.suspects.held, suspect{parcel: parcel, flight: true})
			continue
		}
		c.depart(sent{r, parcel.members(), was.Gone})
	}
	c.gatherer = newGatherer(a.cfg.Queue, a.packer, c.resumed)
	c.gatherer.apart = a.isSuspect
	if l := a.cfg.Account; l != nil && l.Ledger.Limited() {
		c.gatherer.reader.Limit(a.allowed)
		c.gatherer.again = heldFor
	}
	for {
		group, alone, err := c.next(ctx)
		if err != nil {
			return err
		}
		if alone != nil {
			err = c.publishAlone(ctx, *alone)
		} else {
			err = c.publishGroup(ctx, group)
		}
		if err != nil {
			return err
		}
	}
}

func (c *courier) publishGroup(ctx context.Context, group []queue.Message) error {
	parcels, sizes := c.agent.packer.pack(group)
	for i, parcel := range parcels {
		members := parcel.members()
		err := c.publishParcel(ctx, parcel)
		if errors.Is(err, ErrUndeliverable) && len(members) == 1 {
			c.agent.setAside(members[0], err)
			continue
		}
		if err != nil {
			return err
		}
		c.agent.board.packed(len(members), sizes[i], len(parcel.Topic)+len(parcel.Payload))
	}
	return nil
}

func (c *courier) publishParcel(ctx context.Context, parcel Parcel) error {
	r, err := c.session.Publish(ctx, parcel)
	if err == nil {
		c.depart(sent{r, parcel.members(), false})
	}
	return err
}

func (c *courier) depart(s sent) {
	c.trip.departed(s.members, s.orphan)
	c.agent.board.departed(s.members, time.Now())
	c.out <- s
}

// resumeOf is what was asked for under the sequence.
func resumeOf(resume []Resume, seq uint64) Resume {
	at := slices.IndexFunc(resume, func(r Resume) bool { return r.Flight.Seq == seq })
	if at < 0 {
		return Resume{Flight: queue.Flight{Seq: seq, Received: true}}
	}
	return resume[at]
}

// collect releases every message whose receipt proves it, and forgets the others: they stay in the queue and go out again
// in the next session. It is the only caller of Release.
func (a *Agent) collect(receipts <-chan sent, t *trip) {
	for r := range receipts {
		<-r.Done()
		err := r.Err()
		switch {
		case r.orphan:
			a.board.parted(len(r.members))
			if err == nil {
				a.release(r)
			}
		case err == nil:
			a.release(r)
			a.board.landed(r.members, true, time.Now())
		default:
			a.board.landed(r.members, false, time.Now())
		}
		t.landed(r, err == nil)
	}
}

// release takes what has arrived out of the queue, or frees the packet id of what was dropped.
func (a *Agent) release(s sent) {
	if err := a.cfg.Queue.Release(s.members...); err != nil && !errors.Is(err, queue.ErrClosed) {
		a.cfg.Log.Error().Err(err).Uint64("seq", s.Seq()).Msg("message was delivered but can't be released; it will be sent again")
	}
}

func isGone(err error) bool { return errors.Is(err, queue.ErrNotFound) }
