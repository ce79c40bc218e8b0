package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/web/control"
)

func newReconnect() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "reconnect",
		Short: "Make the running agent connect to the broker now",
		Long: `Ends the agent's wait before its next attempt, which after a refused password is hours long; if it is connected, it parts
from the broker and connects again. What is in the queue is not touched. "fieldpost status" tells what comes of it.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			err = control.NewClient(cfg.ControlSocket()).Reconnect(cmd.Context())
			if err != nil {
				return agentError(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the agent connects; see: fieldpost status")
			return nil
		}),
	}
	configFlag(cmd, &path)
	return cmd
}
