package agent

import (
	"context"

	"github.com/fieldpost/fieldpost/queue"
)

// Accept checks and stores messages, all of them or none, and returns the sequence of the first once they are on disk:
// only then may a source say yes. It blocks on the disk, and fails with the error of Config.Check or of queue.Put.
func (a *Agent) Accept(ctx context.Context, msgs ...queue.Message) (first uint64, err error) {
	return a.accept(msgs, func() (uint64, error) { return a.cfg.Queue.Put(ctx, msgs...) })
}

// AcceptAt is Accept with a cursor that is stored in the same transaction, see queue.PutAt. There may be no messages.
func (a *Agent) AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (first uint64, err error) {
	return a.accept(msgs, func() (uint64, error) { return a.cfg.Queue.PutAt(ctx, c, msgs...) })
}

// Cursor returns what the last AcceptAt has stored under the name; nil if there was none.
func (a *Agent) Cursor(name string) ([]byte, error) { return a.cfg.Queue.Cursor(name) }

// accept checks the messages, stores them by put and counts them.
func (a *Agent) accept(msgs []queue.Message, put func() (uint64, error)) (first uint64, err error) {
	for _, m := range msgs {
		if a.cfg.Check == nil {
			break
		}
		if err = a.cfg.Check(m); err != nil {
			break
		}
	}
	if err == nil {
		first, err = put()
	}
	a.board.count(func(d *DeliveryStatus) {
		if err != nil {
			d.Refused += uint64(len(msgs))
		} else {
			d.Accepted += uint64(len(msgs))
		}
	})
	return first, err
}
