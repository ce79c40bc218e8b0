package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
)

func newStatus() *cobra.Command {
	var path string
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how things stand, verdict first",
		Long: `Says how things stand, verdict first, then the link step by step; also when the agent is stopped.

Exit code 0: connected; 1: not connected, or someone has to act; 3: the agent is not running.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			if watch && asJSON {
				return &exitError{exitUsage, errors.New("status: --json is one answer and --watch many: give one of the two")}
			}
			if watch {
				return watchStatus(cmd.Context(), cfg, cmd.OutOrStdout())
			}
			st, err := status(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(st)
			} else {
				printStatus(cmd.OutOrStdout(), st)
			}
			if err != nil {
				return err
			}
			return healthOf(st)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "again every second, until interrupted")
	return cmd
}

// healthOf turns a status into the exit code.
func healthOf(st agent.Status) error {
	switch st.Verdict {
	case agent.VerdictOK:
		return nil
	case agent.VerdictStopped:
		return &exitError{code: exitUnreachable}
	}
	return &exitError{code: exitFailed}
}

// status asks the running agent or, when none runs, the queue's file.
func status(ctx context.Context, cfg setup) (st agent.Status, err error) {
	err = beside(ctx, cfg, func(ctx context.Context, c *control.Client) error {
		st, err = c.Status(ctx)
		return err
	}, func(context.Context) error {
		st, err = stoppedStatus(cfg.Config)
		return err
	})
	return st, err
}

func stoppedStatus(cfg *config.Config) (agent.Status, error) {
	st := agent.Status{Schema: agent.StatusSchema, Version: version, Device: cfg.Device, Time: time.Now(), Verdict: agent.VerdictStopped,
		Sources: []agent.SourceStatus{}, Outages: []agent.Outage{}}
	st.Link.Kind, st.Link.Broker, st.Link.Steps = cfg.Link, brokerName(cfg), []agent.StepStatus{}
	var err error
	st.Queue, err = stoppedQueue(cfg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		st.Reason = "the agent is not running, and there is no queue at " + cfg.QueueFile() + " yet"
	case err != nil:
		return st, err
	default:
		st.Reason = "the agent is not running; " + agent.Waiting(st.Queue.Messages)
		if st.Queue.Refusing != "" {
			st.Reason += "; " + st.Queue.Refusing
		}
	}
	return st, nil
}

// stoppedQueue reads the queue's file while no agent has it open. It makes no file where there is none.
func stoppedQueue(cfg *config.Config) (agent.QueueStatus, error) {
	if _, err := os.Stat(cfg.QueueFile()); err != nil {
		none := agent.QueueStatus{MaxBytes: uint64(cfg.Queue.MaxBytes), Lanes: map[string]uint64{}, Dropped: map[string]uint64{}}
		return none, startError(err)
	}
	q, err := lookIntoQueue(cfg)
	if err != nil {
		return agent.QueueStatus{}, startError(err)
	}
	return agent.QueueStatusOf(q), q.Close()
}

func watchStatus(ctx context.Context, cfg setup, out io.Writer) error {
	f, ok := out.(*os.File)
	live := ok && isLive(f)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		st, err := status(ctx, cfg)
		if ctx.Err() != nil {
			return nil
		}
		if live {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if err == nil {
			printStatus(out, st)
			if live {
				cfg.warn(out)
			}
		} else { // an agent that restarts, say: the next answer may be better
			fmt.Fprintf(out, "no answer: %v\n", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// brokerName is the first broker's URL without the password that it may contain.
func brokerName(cfg *config.Config) string {
	u, err := url.Parse(cfg.Broker.URL[0])
	if err != nil {
		return "" // Validate has refused it
	}
	return u.Redacted()
}
