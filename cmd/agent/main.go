// Command fieldpost is the agent and everything around it. Each command has a file of its own; it wires the packages
// together and decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var ee *exitError
	if !errors.As(err, &ee) {
		// Everything that a command itself returns is an exitError: what is left is cobra's about the command line.
		ee = &exitError{code: exitUsage, err: err}
	}
	if ee.err != nil {
		say(errOut, ee.err)
	}
	return ee.code
}

// say prints an error, for a moment at most: a service manager that doesn't read must not keep an agent that has failed
// from ending.
func say(out io.Writer, err error) {
	said := make(chan struct{})
	go func() { // ends with the process where nobody reads
		defer close(said)
		fmt.Fprintln(out, "fieldpost:", err)
	}()
	select {
	case <-said:
	case <-time.After(2 * time.Second):
	}
}
