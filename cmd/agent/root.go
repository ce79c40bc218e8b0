package main

import "github.com/spf13/cobra"

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
	root.AddCommand(
		newRun(), newDemo(), newSim(), newConfig(), newStatus(), newUsage(), newPlan(), newQueue(), newSend(), newDecode(), newReconnect(), newModem(), newDoctor(), newDiag(), newVersion(), newMan(), newVerify(),
	)
	addCompletion(root)
	explain(root)
	complete(root)
	return root
}

// configFlag adds --config with its default.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", defaultConfig, "configuration file")
}
