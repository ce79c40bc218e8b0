package main

import (
	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/queue"
)

// addCompletion adds cobra's command that writes the scripts for the shells: before the other commands run, so that it is
// explained and has its manual page like them.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd("completion")
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Short = "Write the script that completes commands in bash, zsh, fish or powershell"
		cmd.Args = noCommand
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
}

// complete tells the shell what the values of the flags of every command can be.
func complete(cmd *cobra.Command) {
	values := map[string][]string{"lane": nil, "profile": gsmsim.Profiles()}
	for _, lane := range queue.Lanes() {
		values["lane"] = append(values["lane"], lane.String())
	}
	_ = eachCommand(cmd, func(c *cobra.Command) error {
		if c.Flags().Lookup("config") != nil {
			_ = c.MarkFlagFilename("config", "yaml", "yml")
		}
		for name, list := range values {
			if c.Flags().Lookup(name) != nil {
				_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveDefault))
			}
		}
		return nil
	})
}
