package main

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/internal/uplink"
)

// modemWithin bounds what a command asks of the module: a command waits for one under way, each a minute at most, and a restart
// takes half a minute.
const modemWithin = 4 * time.Minute

// withModule does something to the module: through the running agent, or on the port itself when none runs.
func withModule(ctx context.Context, cfg setup, restarts bool, beside func(context.Context, *control.Client) error,
	alone func(context.Context, control.Modem) error) error {
	ctx, cancel := context.WithTimeout(ctx, modemWithin)
	defer cancel()
	err := beside(ctx, control.NewClient(cfg.ControlSocket()))
	if !errors.Is(err, control.ErrNotRunning) {
		return modemError(err)
	}
	if cfg.broken != nil { // the agent has ended meanwhile
		return cfg.broken
	}
	if cfg.Link != config.LinkModem {
		return &exitError{exitUsage, errors.New("this configuration has no module: its link is the machine's own network")}
	}
	m, release, err := uplink.OpenModem(cfg.Config, restarts, nil)
	if err != nil {
		return &exitError{exitFailed, err}
	}
	defer release()
	if !restarts {
		if err := m.Wake(ctx); err != nil {
			return &exitError{exitFailed, err}
		}
	}
	return modemError(alone(ctx, uplink.Module{Port: cfg.Modem.Port, Current: func() (*gsmnet.Modem, error) { return m, nil }}))
}

// modemError gives a failure of the module its exit code.
func modemError(err error) error {
	var ce *control.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ce) && ce.Code == control.CodeInvalid:
		return &exitError{exitUsage, err}
	}
	return agentError(err)
}
