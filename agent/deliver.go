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

// serve delivers over one session until it ends or ctx does, and returns why it ended (nil: ctx). When it returns, nothing
// of the session is left.
func (a *Agent) serve(ctx context.Context, s Session) error {
	receipts := make(chan Receipt, 1024) // wider than any window: the collector never holds the publisher up
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		a.collect(receipts)
	}()

	publishing, stopWatching := a.publishing(ctx, s)
	err := a.publish(publishing, s, receipts)
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
func (a *Agent) publish(ctx context.Context, s Session, receipts chan<- Receipt) error {
	resumed := make(map[uint64]bool)
	for _, r := range s.Resumed() {
		resumed[r.Seq()] = true
		a.board.departed(r.Seq(), time.Now())
		receipts <- r
	}
	reader := a.cfg.Queue.Reader()
	for {
		m, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if resumed[m.Seq] {
			continue
		}
		r, err := s.Publish(ctx, m)
		if err != nil {
			return err
		}
		a.board.departed(m.Seq, time.Now())
		receipts <- r
	}
}

// collect releases every message whose receipt proves it, and forgets the others: they stay in the queue and go out again
// in the next session. It is the only caller of Release.
func (a *Agent) collect(receipts <-chan Receipt) {
	for r := range receipts {
		<-r.Done()
		err := r.Err()
		if err == nil {
			if err = a.cfg.Queue.Release(r.Seq()); err != nil && !errors.Is(err, queue.ErrClosed) {
				a.cfg.Log.Error().Err(err).Uint64("seq", r.Seq()).Msg("message was delivered but can't be released; it will be sent again")
			}
		}
		a.board.landed(r.Seq(), err == nil, time.Now())
	}
}
