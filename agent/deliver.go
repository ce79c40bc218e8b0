package agent

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// farewell bounds the goodbye to the broker.
const farewell = 3 * time.Second

// Why a session that works is parted from, to connect again at once.
var (
	errReturning = errors.New("agent: returning to the first broker")
	errAsked     = errors.New("agent: asked to connect again")
)

// sent is a parcel on its way.
type sent struct {
	Receipt
	members []uint64 // the sequences of the messages in it
}

// serve delivers over one session until it ends or ctx does, and returns why it ended (nil: ctx). When it returns, nothing
// of the session is left.
func (a *Agent) serve(ctx context.Context, s Session, resume []Resume) error {
	receipts := make(chan sent, 1024) // wider than any window: the collector never holds the publisher up
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		a.collect(receipts)
	}()

	publishing, stopWatching := a.publishing(ctx, s)
	err := a.publish(publishing, s, resume, receipts)
	parting := context.Cause(publishing)
	stopWatching()
	close(receipts)

	switch {
	case ctx.Err() != nil, parting == errAsked: // give the proofs of what is in flight a chance
		select {
		case <-collected:
		case <-s.Done():
		case <-time.After(a.cfg.StopWait):
		}
	case parting == errReturning: // what is in flight belongs to this broker; the session itself bounds how long it may take
		select {
		case <-collected:
		case <-s.Done():
		}
	}
	broke := s.Err()
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	closeErr := s.Close(closeCtx)
	<-collected

	switch {
	case ctx.Err() != nil:
		return nil
	case broke != nil:
		return broke
	case parting != nil:
		return parting
	case err != nil:
		return err
	}
	return closeErr
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

// publish hands messages to the session in the order of the queue; what the broker's session still knows goes first and
// isn't published again.
func (a *Agent) publish(ctx context.Context, s Session, resume []Resume, out chan<- sent) error {
	resumed := make(map[uint64]bool)
	for _, r := range s.Resumed() {
		members := membersOf(resume, r.Seq())
		for _, seq := range members {
			resumed[seq] = true
		}
		a.board.departed(members, time.Now())
		out <- sent{r, members}
	}
	g := newGatherer(a.cfg.Queue, a.packer, resumed)
	for {
		group, err := g.next(ctx)
		if err != nil {
			return err
		}
		parcels, sizes := a.packer.pack(group)
		for i, parcel := range parcels {
			r, err := s.Publish(ctx, parcel)
			if err != nil {
				return err
			}
			members := parcel.members()
			a.board.departed(members, time.Now())
			a.board.packed(len(members), sizes[i], len(parcel.Topic)+len(parcel.Payload))
			out <- sent{r, members}
		}
	}
}

// membersOf are the messages of the flight that bears the sequence.
func membersOf(resume []Resume, seq uint64) []uint64 {
	for _, r := range resume {
		if r.Flight.Seq == seq {
			return append([]uint64{seq}, r.Flight.More...)
		}
	}
	return []uint64{seq}
}

// collect releases every message whose receipt proves it, and forgets the others: they stay in the queue and go out again
// in the next session. It is the only caller of Release.
func (a *Agent) collect(receipts <-chan sent) {
	for r := range receipts {
		<-r.Done()
		err := r.Err()
		if err == nil {
			if err = a.cfg.Queue.Release(r.members...); err != nil && !errors.Is(err, queue.ErrClosed) {
				a.cfg.Log.Error().Err(err).Uint64("seq", r.Seq()).Msg("message was delivered but can't be released; it will be sent again")
			}
		}
		a.board.landed(r.members, err == nil, time.Now())
	}
}

func isGone(err error) bool { return errors.Is(err, queue.ErrNotFound) }
