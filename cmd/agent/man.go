package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages of all commands into a folder",
		Long: `Writes a page for each command into DIR, which is made if it is missing: fieldpost.1, fieldpost-status.1 and so on. To have them
found by man, write them to /usr/local/share/man/man1.`,
		Args: cobra.ExactArgs(1),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("man: %w", err)
			}
			return eachCommand(cmd.Root(), func(c *cobra.Command) error {
				if err := os.WriteFile(filepath.Join(args[0], pageName(c)+".1"), manPage(c), 0o644); err != nil {
					return fmt.Errorf("man: %w", err)
				}
				return nil
			})
		}),
	}
}

// eachCommand calls do for cmd and for every command below it that a person is to see.
func eachCommand(cmd *cobra.Command, do func(*cobra.Command) error) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	if err := do(cmd); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := eachCommand(sub, do); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is a command's page in the man(7) macros. It is written here and not by cobra/doc, which brings a Markdown
// parser and adds 0.3 MB to the binary.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	fmt.Fprintf(&b, ".TH %q 1 \"\" %q \"Fieldpost\"\n", strings.ToUpper(pageName(cmd)), "fieldpost "+version)
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(pageName(cmd)), roff(lowerFirst(cmd.Short)))
	section("SYNOPSIS")
	fmt.Fprintf(&b, ".B %s\n", roff(cmd.CommandPath()))
	if _, args, ok := strings.Cut(cmd.UseLine(), cmd.CommandPath()+" "); ok {
		fmt.Fprintf(&b, "%s\n", roff(args))
	}
	section("DESCRIPTION")
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	b.WriteString(roffText(text))
	if subs := listed(cmd); len(subs) > 0 {
		section("COMMANDS")
		for _, sub := range subs {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
		}
	}
	if cmd.Flags().HasAvailableFlags() {
		section("OPTIONS")
		cmd.Flags().VisitAll(func(f *pflag.Flag) { b.WriteString(roffFlag(f)) })
	}
	section("EXIT STATUS")
	b.WriteString("0: fine. 1: a check failed. 2: wrong usage. 3: no agent answers. 75: a later attempt may work. 78: bad configuration.\n")
	section("SEE ALSO")
	var also []string
	if cmd.HasParent() {
		also = append(also, ".BR "+roff(pageName(cmd.Parent()))+" (1)")
	}
	for _, sub := range listed(cmd) {
		also = append(also, ".BR "+roff(pageName(sub))+" (1)")
	}
	b.WriteString(strings.Join(also, ",\n") + "\n")
	return b.Bytes()
}

// listed are the commands below cmd that a person is to see.
func listed(cmd *cobra.Command) (list []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			list = append(list, sub)
		}
	}
	return list
}

func roffFlag(f *pflag.Flag) string {
	if f.Hidden {
		return ""
	}
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if f.Value.Type() != "bool" {
		name += "=" + strings.ToUpper(f.Value.Type())
	}
	usage := f.Usage
	switch f.DefValue {
	case "", "false", "0":
	default:
		usage += " (default: " + f.DefValue + ")"
	}
	return fmt.Sprintf(".TP\n.B %s\n%s\n", roff(name), roff(usage))
}

// roff escapes a line: a backslash, a hyphen that is meant as one, and a dot or a quote at the beginning.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// roffText writes paragraphs; lines that are indented stay as they are.
func roffText(text string) string {
	var b strings.Builder
	b.WriteString(".PP\n")
	open := false
	for line := range strings.SplitSeq(text, "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !open:
			b.WriteString(".PP\n.nf\n")
		case !indented && open:
			b.WriteString(".fi\n.PP\n")
		}
		open = indented
		if line == "" {
			b.WriteString(".PP\n")
			continue
		}
		b.WriteString(roff(line) + "\n")
	}
	if open {
		b.WriteString(".fi\n")
	}
	return b.String()
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
