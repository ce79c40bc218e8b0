package main

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// askWithin bounds a question to the running agent.
const askWithin = 5 * time.Second

// beside asks the running agent or, when none runs, does it alone. An agent that has the queue but no socket is just
// starting or stopping: it is asked again.
func beside(ctx context.Context, cfg *config.Config, ask func(context.Context, *control.Client) error, alone func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	client := control.NewClient(cfg.ControlSocket())
	for {
		err := ask(ctx, client)
		var refusal *control.Error
		switch {
		case errors.As(err, &refusal) && refusal.Temporary():
			return &exitError{exitTemporary, err}
		case errors.Is(err, control.ErrUnreachable):
			return &exitError{exitUnreachable, err}
		case !errors.Is(err, control.ErrNotRunning):
			return err
		}
		err = alone(ctx)
		var locked *queue.LockedError
		if !errors.As(err, &locked) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return &exitError{exitTemporary, err}
		}
	}
}
