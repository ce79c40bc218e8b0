package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/web/control"
)

func newModemAT() *cobra.Command {
	var path string
	var asJSON, force bool
	cmd := &cobra.Command{
		Use:   "at COMMAND",
		Short: "Send one AT command, beside the running agent or without one",
		Long: `Sends one AT command such as 'AT+CSQ' and prints the lines of its answer. Commands that would break the agent's
connection or change its settings are refused. With --force they are sent, the connection ends and is made anew. What could lock
the SIM or can't be answered is refused in any case.`,
		Example: "  fieldpost modem at 'AT+CSQ'\n  fieldpost modem at 'AT+COPS?'",
		Args:    cobra.ExactArgs(1),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			lines := []string{}
			err = withModule(cmd.Context(), cfg, false,
				func(ctx context.Context, c *control.Client) error {
					got, err := c.ModemCommand(ctx, args[0], force)
					lines = append(lines, got...)
					return err
				},
				func(ctx context.Context, m control.Modem) error {
					got, err := m.Command(ctx, args[0], force)
					lines = append(lines, got...)
					return err
				})
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Schema  int      `json:"schema"`
					Command string   `json:"command"`
					Lines   []string `json:"lines"`
				}{1, args[0], lines})
			}
			for _, l := range append(lines, "OK") {
				fmt.Fprintln(cmd.OutOrStdout(), l)
			}
			return nil
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().BoolVar(&force, "force", false, "also what breaks the connection")
	return cmd
}

func newModemReset() *cobra.Command {
	var path string
	var hard, force bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Restart the module",
		Long: `Restarts the module with AT+CFUN=1,1 or, if it doesn't answer or doesn't take that, in the way of modem.restart. Between
restarts without a connection in between 10 minutes, 30 minutes and then an hour have to pass (exit code 75 if they have not).`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			err = withModule(cmd.Context(), cfg, true,
				func(ctx context.Context, c *control.Client) error { return c.ModemRestart(ctx, hard, force) },
				func(ctx context.Context, m control.Modem) error { return m.Restart(ctx, hard, force) })
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the module restarts")
			return nil
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&hard, "hard", false, "by modem.restart at once: wires or program")
	cmd.Flags().BoolVar(&force, "force", false, "whatever the time since the last restart")
	return cmd
}
