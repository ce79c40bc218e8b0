package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
)

// rememberEvery is how often what was learned and counted goes to disk: a power cut loses so much of it, and a flash sees 96
// small writes a day, less than from five readings.
const rememberEvery = 15 * time.Minute

// memory saves what is to be known again after a restart, at a pace that spares flash.
type memory struct {
	saves []func() error
	log   zerolog.Logger
}

func (m *memory) add(save func() error) { m.saves = append(m.saves, save) }

// source runs beside delivery.
func (m *memory) source() agent.Source { return agent.Source{Name: "memory", Run: m.run} }

func (m *memory) run(ctx context.Context) error {
	tick := time.NewTicker(rememberEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := m.save(); err != nil {
				m.log.Error().Err(err).Msg("what was learned can't be saved")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// save writes all of it; what has not changed is not written.
func (m *memory) save() error {
	var errs []error
	for _, s := range m.saves {
		errs = append(errs, s())
	}
	return errors.Join(errs...)
}
