package main

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/internal/device"
	"github.com/fieldpost/fieldpost/queue"
)

func newRun() *cobra.Command {
	var path, trace string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the agent until it is told to stop",
		Long: `Runs the agent in the foreground. SIGTERM and SIGINT stop it within 10 s: nothing is accepted any more, the proofs of
what is on its way are waited for, and what stays in the queue is delivered after the next start. SIGHUP reads the
configuration again: what can be changed is put in force, what needs a restart is named in the log, and a bad file changes nothing.

A missing module or an unreachable broker doesn't end it: readings are still taken in, and "fieldpost status" says why
nothing flows. Exit code 75: something that a restart may cure; 78: the configuration.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			return run(cmd.Context(), cfg, path, trace, cmd.ErrOrStderr())
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&trace, "trace", "", "write the serial dialogue to this file, PIN and passwords masked; at 8 MiB it becomes FILE.1")
	return cmd
}

func run(ctx context.Context, cfg *config.Config, path, trace string, errOut io.Writer) error {
	signals, deaf := hangups()
	defer deaf()
	level, err := newLogLevel(cfg.Log.Level)
	if err != nil {
		return &exitError{exitConfig, err}
	}
	log, lines, flush := newLogger(cfg.Log, level, errOut)
	defer flush()
	device.BoundHeap(log)
	options := device.Options{Version: version, Logged: lines.all, Level: level, Verify: verifyQueue, Log: log}
	if trace != "" {
		t, err := startTrace(trace, cfg)
		if err != nil {
			return err
		}
		defer t.stop(log)
		options.Trace = t.Trace
	}
	d, err := device.New(cfg, options)
	if err != nil {
		return startError(err)
	}
	log.Info().Str("version", version).Str("device", cfg.Device).Str("link", cfg.Link).
		Int("waiting", d.Queue().Stats().Messages).Msg("started")
	beside, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { sayReady(beside, d.Agent()) })
	group.Go(func() { feedWatchdog(beside, d.Queue()) })
	group.Go(func() { (&reloader{path, d}).run(beside, signals) })
	err = d.Run(ctx)
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	stop()
	group.Wait()
	waiting := d.Queue().Stats().Messages
	if closeErr := d.Close(); err == nil && closeErr != nil {
		err = closeErr
	}
	if err != nil {
		return &exitError{exitTemporary, err}
	}
	log.Info().Int("waiting", waiting).Msg("stopped")
	return nil
}

// readyAtLatest is when the service manager is told that the agent is ready although a source still fails: readings of the others
// are taken in and delivered, and a restart cures no port that is taken. It is below the 90 s that systemd waits.
const readyAtLatest = time.Minute

// sayReady tells the service manager that readings are taken in.
func sayReady(ctx context.Context, a *agent.Agent) {
	wait, cancel := context.WithTimeout(ctx, readyAtLatest)
	defer cancel()
	_ = a.Standing(wait)
	if ctx.Err() == nil {
		_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	}
}

// feedWatchdog tells the service manager that the agent works, as long as the queue answers.
func feedWatchdog(ctx context.Context, q *queue.Queue) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil || limit == 0 {
		return
	}
	tick := time.NewTicker(limit / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if q.Sync(ctx) == nil {
				_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			}
		case <-ctx.Done():
			return
		case <-q.Done():
			return
		}
	}
}
