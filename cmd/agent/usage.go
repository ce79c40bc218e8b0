package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// explain gives every command below cmd texts of our own for a wrong command line: what is wrong and where help is.
func explain(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(flagError)
	cmd.SuggestionsMinimumDistance = 2
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			if cmd.HasSubCommands() {
				return check(cmd, args)
			}
			return argsError(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		explain(sub)
	}
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
	return fmt.Errorf("%s (%s --help lists them)", text, cmd.CommandPath())
}

func argsError(cmd *cobra.Command, args []string) error {
	_, wanted, _ := strings.Cut(strings.TrimSuffix(cmd.Use, " [flags]"), " ")
	name := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	if wanted == "" {
		return fmt.Errorf("%s takes no arguments, and got %q (%s --help)", name, args[0], cmd.CommandPath())
	}
	return fmt.Errorf("%s takes %s, and got %s (%s --help)", name, wanted, plural(len(args), "argument"), cmd.CommandPath())
}

// valueNames say what the value of a flag is, by the type that it is read into.
var valueNames = map[string]string{
	"int": "a whole number", "uint64": "a whole number, not negative", "bool": "true or false", "duration": "a duration such as 90s",
}

// flagError explains a mistake with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var (
		value   *pflag.InvalidValueError
		missing *pflag.ValueRequiredError
		unknown *pflag.NotExistError
		text    = err.Error()
	)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &value):
		text = fmt.Sprintf("--%s %q: it takes %s", value.GetFlag().Name, value.GetValue(), valueName(value.GetFlag()))
	case errors.As(err, &missing):
		text = fmt.Sprintf("--%s needs a value: %s", missing.GetFlag().Name, valueName(missing.GetFlag()))
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		text = "unknown flag --" + unknown.GetSpecifiedName()
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			text += "; did you mean --" + near + "?"
		}
	}
	return fmt.Errorf("%s (%s --help)", text, cmd.CommandPath())
}

func valueName(f *pflag.Flag) string {
	if name, ok := valueNames[f.Value.Type()]; ok {
		return name
	}
	return f.Usage
}

// nearestFlag returns the flag that was likely meant, or "".
func nearestFlag(cmd *cobra.Command, name string) (near string) {
	// cobra knows how to find the nearest command, so each flag becomes one for a moment.
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if list := flags.SuggestionsFor(name); len(list) > 0 {
		return list[0]
	}
	return ""
}
