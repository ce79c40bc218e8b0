package device

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/keep"
	"github.com/fieldpost/fieldpost/queue"
)

// A box whose supply breaks down under the module's transmitter boots again and again, and each boot would begin its waits
// between attempts anew: a dial each, paid for and seen by the operator. So the starts are counted that ended within
// steadyAfter without being told to and without having delivered anything; after freeStarts of them the next one waits before
// it dials. The wait is short: what was killed for another reason is to deliver soon.
const (
	steadyAfter = 5 * time.Minute // as long as a session must stand to count as stable
	freeStarts  = 3
	// longestHold is about what it takes from the power to the first packet on the air: a supply that bears the transmitter for a
	// moment only has failed again before that, and half as many dials are paid for.
	longestHold = 20 * time.Second
)

// starts counts the starts in a row that ended early.
type starts struct {
	path      string
	queue     *queue.Queue
	delivered func() bool // whether this start has come to deliver something
	log       zerolog.Logger
}

// begin notes this start as one that may end early.
func (s *starts) begin() (early int) {
	if err := keep.Load(s.path, &early); err != nil {
		s.log.Warn().Err(err).Msg("starts are counted from 0")
	}
	early = max(0, early)
	s.save(early + 1)
	return early
}

func (s *starts) save(early int) {
	if err := keep.Save(s.path, early); err != nil {
		s.log.Warn().Err(err).Msg("this start can't be counted")
	}
}

// run notes that this start was none of them: it has lasted, has delivered, or is being stopped by someone. A failed storage is
// no such end.
func (s *starts) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for begun := time.Now(); ctx.Err() == nil && time.Since(begun) < steadyAfter && !s.delivered(); {
		select {
		case <-tick.C:
		case <-s.queue.Done():
			return nil
		case <-ctx.Done():
		}
	}
	if s.queue.Err() == nil {
		s.save(0)
	}
	<-ctx.Done()
	return nil
}

// hold is how long a start waits before its first attempt, after so many that ended early.
func hold(early int) time.Duration {
	if early < freeStarts {
		return 0
	}
	return longestHold/2 + rand.N(longestHold/2)
}

// countStarts makes the agent wait for its first attempt when the starts before it ended early.
func (d *Device) countStarts(dir string, cfg *agent.Config) {
	s := &starts{path: filepath.Join(dir, "starts"), queue: d.queue, log: d.log,
		delivered: func() bool { return d.agent.Status().Delivery.Delivered > 0 }}
	early := s.begin()
	if cfg.Hold = hold(early); cfg.Hold > 0 {
		cfg.HoldWhy = fmt.Sprintf("the last %d starts ended within minutes and delivered nothing, so it waits before it dials; \"fieldpost reconnect\" ends the wait. "+
			"If nobody stopped it, look at the power supply and at the log of the starts before", early)
	}
	cfg.Sources = append(cfg.Sources, agent.Source{Name: "starts", Run: s.run})
}
