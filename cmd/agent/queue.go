package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

func newQueue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Look into the queue, beside the running agent or on a stopped one",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newQueueStats())
	return cmd
}

func newQueueStats() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count what waits, and what was dropped and why",
		Args:  cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			st, err := queueStats(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Schema int `json:"schema"`
					agent.QueueStatus
				}{1, st})
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "messages\t%d\n", st.Messages)
			for _, lane := range queue.Lanes() {
				fmt.Fprintf(w, "  %s\t%d\n", lane, st.Lanes[lane.String()])
			}
			fmt.Fprintf(w, "bytes\t%s of %s\n", disk(st.Bytes), disk(st.MaxBytes))
			fmt.Fprintf(w, "file\t%s\n", disk(st.FileBytes))
			if st.OldestAt != nil {
				fmt.Fprintf(w, "oldest\t%s\n", st.OldestAt.Local().Format("2006-01-02 15:04:05"))
			}
			for reason, n := range st.Dropped {
				fmt.Fprintf(w, "dropped\t%d (%s)\n", n, reason)
			}
			return w.Flush()
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func queueStats(ctx context.Context, cfg *config.Config) (agent.QueueStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	st, err := control.NewClient(cfg.ControlSocket()).QueueStats(ctx)
	if !errors.Is(err, control.ErrNotRunning) {
		return st, err
	}
	st, err = stoppedQueue(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return st, &exitError{exitUnreachable, fmt.Errorf("no agent runs and there is no queue at %s: check data_dir, or start the agent once", cfg.QueueFile())}
	}
	return st, err
}
