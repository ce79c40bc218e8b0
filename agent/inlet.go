package agent

import (
	"context"

	"github.com/fieldpost/fieldpost/queue"
)

// Accept checks and stores messages, all of them or none, and returns the sequence of the first once they are on disk:
// only then may a source say yes. It blocks on the disk, and fails with the error of Config.Check or of queue.Put.
func (a *Agent) Accept(ctx context.Context, msgs ...queue.Message) (first uint64, err error) {
	if first, err = a.Take(ctx, msgs...); err != nil {
		a.board.count(func(d *DeliveryStatus) { d.Refused += uint64(len(msgs)) })
	}
	return first, err
}

// Take is Accept for a source, whose status has what it refuses: what it keeps and tries again isn't refused.
func (a *Agent) Take(ctx context.Context, msgs ...queue.Message) (first uint64, err error) {
	return a.take(msgs, func() (uint64, error) { return a.cfg.Queue.Put(ctx, msgs...) })
}

// TakeAt is Take with a cursor that is stored in the same transaction, see queue.PutAt. There may be no messages.
func (a *Agent) TakeAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (first uint64, err error) {
	return a.take(msgs, func() (uint64, error) { return a.cfg.Queue.PutAt(ctx, c, msgs...) })
}

// Cursor returns what the last AcceptAt has stored under the name; nil if there was none.
func (a *Agent) Cursor(name string) ([]byte, error) { return a.cfg.Queue.Cursor(name) }

// take checks the messages, stores them by put and counts them.
func (a *Agent) take(msgs []queue.Message, put func() (uint64, error)) (first uint64, err error) {
	for _, m := range msgs {
		if a.cfg.Check == nil {
			break
		}
		if err := a.cfg.Check(m); err != nil {
			return 0, err
		}
	}
	if first, err = put(); err == nil {
		a.board.count(func(d *DeliveryStatus) { d.Accepted += uint64(len(msgs)) })
	}
	return first, err
}
