package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const defaultConfig = "/etc/fieldpost/config.yaml"

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "fieldpost",
		Short: "MQTT store-and-forward for sensors behind a GSM module",
		Long: `Fieldpost takes readings in on the machine, keeps them on disk, and delivers them over a
Quectel GSM/GPRS module to an MQTT broker. A reading leaves the disk only when it has
provably arrived.

Start with "fieldpost demo": the whole thing on this machine, with nothing to install.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(
		newRun(), newDemo(), newSim(), newConfig(), newStatus(), newQueue(), newSend(), newModem(), newDoctor(), newVersion(), newVerify(),
	)
	return root
}

// noCommand refuses a word that is no command, with the nearest one.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return fmt.Errorf("%s (fieldpost --help lists them)", text)
}

// configFlag adds --config with its default.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultConfig, "configuration file")
}
