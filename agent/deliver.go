package agent

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// farewell bounds the goodbye to the broker.
const farewell = 3 * time.Second

// serve delivers over one session until it ends or ctx does, and returns why it ended (nil: ctx). When it returns, nothing
// of the session is left.
func (a *Agent) serve(ctx context.Context, s Session) error {
	receipts := make(chan Receipt, 1024) // wider than any window: the collector never holds the publisher up
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		a.collect(receipts)
	}()

	publishCtx, stopPublishing := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.Done():
			stopPublishing()
		case <-publishCtx.Done():
		}
	}()
	err := a.publish(publishCtx, s, receipts)
	stopPublishing()
	<-watched
	close(receipts)

	if ctx.Err() != nil { // a graceful stop: give the proofs of what is in flight a chance
		select {
		case <-collected:
		case <-s.Done():
		case <-time.After(a.cfg.StopWait):
		}
	}
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	closeErr := s.Close(closeCtx)
	<-collected

	switch {
	case ctx.Err() != nil:
		return nil
	case s.Err() != nil:
		return s.Err()
	case err != nil:
		return err
	}
	return closeErr
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
