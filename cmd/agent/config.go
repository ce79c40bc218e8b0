package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, show or make a configuration",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck(), newConfigShow(), newConfigInit(), newConfigSchema())
	return cmd
}

func newConfigCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a file; each mistake with its line, a caret and the nearest key",
		Args:  cobra.ExactArgs(1),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			_, err := config.Load(args[0], os.Environ())
			if asJSON {
				return checkJSON(cmd, args[0], err)
			}
			if err != nil {
				return &exitError{exitConfig, err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is fine\n", args[0])
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

func checkJSON(cmd *cobra.Command, file string, err error) error {
	problems := []config.Problem{}
	var ce *config.Error
	if errors.As(err, &ce) {
		problems = ce.Problems
	} else if err != nil {
		problems = append(problems, config.Problem{File: file, Message: err.Error()})
	}
	if encodeErr := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"schema": 1, "file": file, "ok": err == nil, "problems": problems}); encodeErr != nil {
		return encodeErr
	}
	if err != nil {
		return &exitError{code: exitConfig}
	}
	return nil
}

func newConfigShow() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the values in force, defaults and environment included, secrets masked",
		Args:  cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(cfg.Show())
			return err
		}),
	}
	configFlag(cmd, &path)
	return cmd
}

func newConfigInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Print a configuration with every key and a comment on each",
		Args:  cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Init())
			return err
		}),
	}
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of the configuration, for editors",
		Long: `Prints a JSON schema (draft 7) of the configuration file: keys with what they mean, defaults, choices and bounds.
An editor with the YAML language server takes it from the first line of the file:

  # yaml-language-server: $schema=fieldpost.schema.json`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Schema())
			return err
		}),
	}
}

// loadConfig reads the configuration of a command; what is wrong with it ends with exit code 78.
func loadConfig(path string) (*config.Config, error) {
	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return nil, &exitError{exitConfig, err}
	}
	return cfg, nil
}
