package agent

import (
	"context"

	"github.com/fieldpost/fieldpost/queue"
)

// Accept checks and stores messages, all of them or none, and returns the sequence of the first once they are on disk:
// only then may a source say yes. It blocks on the disk, and fails with the error of Config.Check or of queue.Put.
func (a *Agent) Accept(ctx context.Context, msgs ...queue.Message) (first uint64, err error) {
	for _, m := range msgs {
		if a.cfg.Check == nil {
			break
		}
		if err = a.cfg.Check(m); err != nil {
			break
		}
	}
	if err == nil {
		first, err = a.cfg.Queue.Put(ctx, msgs...)
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
