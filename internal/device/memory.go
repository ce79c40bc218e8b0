package device

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
)

// What was learned and counted goes to disk early after a start, since a logger may be switched off after minutes, and ever more
// rarely as the agent runs on: a cut of the power takes at most half of a short run, and a flash sees 96 small writes a day from a
// long one, less than from a reading every 15 minutes.
const (
	rememberFirst = 15 * time.Second
	rememberEvery = 15 * time.Minute
)

// memory saves what is to be known again after a restart, at a pace that spares flash.
type memory struct {
	saves   []func() error
	urgent  <-chan struct{} // the account is to be saved sooner; nil: never
	account func() error
	log     zerolog.Logger
	failing bool // the last save; of run's goroutine
}

func (m *memory) add(save func() error) { m.saves = append(m.saves, save) }

// source runs beside delivery.
func (m *memory) source() agent.Source { return agent.Source{Name: "memory", Run: m.run} }

func (m *memory) run(ctx context.Context) error {
	wait := rememberFirst
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			m.say(m.save())
			timer.Reset(wait) // so that the time since the start doubles
			wait = min(2*wait, rememberEvery)
		case <-m.urgent:
			m.say(m.account())
		case <-ctx.Done():
			return nil
		}
	}
}

// close saves for the last time, behind run. What a full disk doesn't take is told, and learned again: the stop is a clean one all the same.
func (m *memory) close() error {
	m.say(m.save())
	return nil
}

// say logs what can't be saved, once until it works again.
func (m *memory) say(err error) {
	if err != nil && !m.failing {
		m.log.Error().Err(err).Msg("what was learned can't be saved")
	}
	m.failing = err != nil
}

// save writes all of it; what has not changed is not written.
func (m *memory) save() error {
	var errs []error
	for _, s := range m.saves {
		errs = append(errs, s())
	}
	return errors.Join(errs...)
}
