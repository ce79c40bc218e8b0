package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// The exit codes. 75 and 78 are EX_TEMPFAIL and EX_CONFIG of sysexits.h: a service manager restarts after the first and
// not after the second.
const (
	exitOK          = 0
	exitFailed      = 1 // a check failed, or the agent is unhealthy
	exitUsage       = 2 // wrong command line
	exitUnreachable = 3 // no agent answers
	exitTemporary   = 75
	exitConfig      = 78
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
