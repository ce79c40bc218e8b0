package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/internal/device"
	"github.com/fieldpost/fieldpost/queue"
)

// newVerify is the child process that reads a queue file which may be damaged: on some kinds of damage the storage
// library ends the process that reads it, which must not be the agent.
func newVerify() *cobra.Command {
	return &cobra.Command{
		Use:    verifyCommand + " FILE",
		Short:  "Check a queue file",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   withCode(func(_ *cobra.Command, args []string) error { return queue.VerifyFile(args[0]) }),
	}
}

const verifyCommand = "verify-queue"

// verifyQueue checks a queue file in a child process.
func verifyQueue(ctx context.Context, path string) error {
	self, err := os.Executable()
	if err != nil {
		return queue.CheckFile(path)
	}
	out, err := exec.CommandContext(ctx, self, verifyCommand, path).CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	case err != nil && ctx.Err() == nil: // no child could be started, which says nothing about the file
		return queue.CheckFile(path)
	}
	return err
}

// openQueue opens the queue of a configuration while no agent has it.
func openQueue(cfg *config.Config) (*queue.Queue, error) {
	return queue.Open(queueConfig(cfg))
}

// lookIntoQueue is openQueue for commands that can do without writing: on a read-only file system they see what is there.
func lookIntoQueue(cfg *config.Config) (*queue.Queue, error) {
	q, err := openQueue(cfg)
	if errors.Is(err, queue.ErrReadOnly) {
		return queue.OpenReadOnly(queueConfig(cfg))
	}
	return q, err
}

func queueConfig(cfg *config.Config) queue.Config {
	c := device.QueueConfig(cfg)
	c.Verify = verifyQueue
	return c
}
