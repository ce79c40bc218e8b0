package main

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// The exit codes. 75 and 78 are EX_TEMPFAIL and EX_CONFIG of sysexits.h: a service manager restarts after the first and
// not after the second.
const (
	exitOK          = 0
	exitFailed      = 1 // a check failed, or the agent is unhealthy
	exitUsage       = 2 // wrong command line
	exitUnreachable = 3 // no agent answers
	exitTemporary   = 75
	exitConfig      = 78 // the configuration or the rights
)

// exitError carries the exit code of a command. A nil err prints nothing: the command has said it all.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// agentError gives its exit code to what keeps a command from the running agent, and to what that refuses for now. Want of rights is
// that of a start: whoever tries again as the same user fails again.
func agentError(err error) error {
	var refusal *control.Error
	switch {
	case errors.As(err, &refusal) && refusal.Temporary():
		return &exitError{exitTemporary, err}
	case errors.Is(err, control.ErrUnreachable) && errors.Is(err, fs.ErrPermission):
		return &exitError{exitConfig, err}
	case errors.Is(err, control.ErrUnreachable), errors.Is(err, control.ErrNotRunning):
		return &exitError{exitUnreachable, err}
	}
	return err
}

// startError gives a failed start, or a queue that can't be opened, its exit code.
func startError(err error) error {
	var locked *queue.LockedError
	switch {
	case errors.As(err, new(*exitError)):
		return err
	case errors.As(err, &locked):
		return &exitError{exitTemporary, err}
	case errors.As(err, new(*config.Error)), errors.As(err, new(*config.Unusable)):
		return &exitError{exitConfig, err}
	}
	for _, lasting := range []error{fs.ErrPermission, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG} { // of data_dir
		if errors.Is(err, lasting) {
			return &exitError{exitConfig, err}
		}
	}
	return &exitError{exitTemporary, err}
}

// withCode wraps a command's function so that an error without a code of its own ends with code 1.
func withCode(run func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		var ee *exitError
		if err == nil || errors.As(err, &ee) {
			return err
		}
		return &exitError{code: exitFailed, err: err}
	}
}
