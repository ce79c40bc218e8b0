package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// askWithin bounds a question to the running agent.
const askWithin = 5 * time.Second

// setup is the configuration of a command that works beside the running agent.
type setup struct {
	*config.Config
	// broken is what is wrong with the file: an agent runs all the same, with what it has read before, and Config has nothing but its
	// socket. nil: nothing.
	broken error
}

// loadBeside is loadConfig for commands that can do with the running agent alone: an agent that answers counts more than a file that
// somebody has broken since. That it is broken is said on standard error.
func loadBeside(cmd *cobra.Command, path string) (setup, error) {
	cfg, err := loadConfig(path)
	if err == nil {
		return setup{Config: cfg}, nil
	}
	socket, ok := config.Socket(path, os.Environ())
	if !ok {
		return setup{}, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askWithin)
	defer cancel()
	if _, askErr := control.NewClient(socket).Status(ctx); askErr != nil {
		return setup{}, err
	}
	s := setup{&config.Config{Control: config.Control{Socket: socket}}, err}
	s.warn(cmd.ErrOrStderr())
	return s, nil
}

// warn says what is wrong with the file.
func (s setup) warn(out io.Writer) {
	if s.broken != nil {
		fmt.Fprintf(out, "fieldpost: the agent runs with an earlier configuration: the file is broken, and no start would take it:\n%v\n", s.broken)
	}
}

// beside asks the running agent or, when none runs, does it alone. An agent that has the queue but no socket is just
// starting or stopping: it is asked again.
func beside(ctx context.Context, s setup, ask func(context.Context, *control.Client) error, alone func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	client := control.NewClient(s.ControlSocket())
	for {
		err := ask(ctx, client)
		switch {
		case !errors.Is(err, control.ErrNotRunning):
			return agentError(err)
		case s.broken != nil: // the agent has ended meanwhile
			return s.broken
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
