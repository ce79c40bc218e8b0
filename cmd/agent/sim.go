package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func newSim() *cobra.Command {
	var pty, profile string
	var trace bool
	cmd := &cobra.Command{
		Use:   "sim --pty PATH",
		Short: "Run the simulated module alone, on a pseudo terminal",
		Long: `Runs a simulated Quectel module until it is interrupted. PATH becomes a link to its pseudo terminal: open it as
any serial port, with this agent or with another driver. Its connections are real ones from this machine.

It takes commands on its standard input, one a line:
` + simHelp(),
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			if pty == "" {
				return &exitError{exitUsage, errors.New("sim: --pty PATH is missing: it says where the link to the pseudo terminal is to be")}
			}
			cfg, err := gsmsim.Profile(profile)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if trace {
				cfg.Trace = simTrace(cmd.ErrOrStderr())
			}
			return runSim(cmd.Context(), cfg, pty, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	cmd.Flags().StringVar(&pty, "pty", "", "path of the link to the pseudo terminal")
	cmd.Flags().StringVar(&profile, "profile", "m95", "kind of module: "+strings.Join(gsmsim.Profiles(), ", ")+", or a JSON file")
	cmd.Flags().BoolVarP(&trace, "verbose", "v", false, "show the dialogue on standard error")
	return cmd
}

func runSim(ctx context.Context, cfg gsmsim.Config, pty string, in io.Reader, out, errOut io.Writer) error {
	module := gsmsim.New(cfg)
	defer module.Close()
	path, err := module.PTY(pty)
	if err != nil {
		return &exitError{ptyCode(pty, err), err}
	}
	fmt.Fprintf(out, "simulated module on %s\n", path)
	go func() { // ends with standard input or with the process
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if words := strings.Fields(lines.Text()); len(words) > 0 {
				fmt.Fprintln(errOut, simCommand(module, words))
			}
		}
	}()
	<-ctx.Done()
	return nil
}

// ptyCode tells a path that can't be from a machine that has no more pseudo terminals, which passes.
func ptyCode(pty string, err error) int {
	var path *fs.PathError
	if errors.As(err, new(*os.LinkError)) || errors.Is(err, fs.ErrExist) || errors.As(err, &path) && path.Path == pty {
		return exitUsage
	}
	return exitTemporary
}

type simAction struct {
	words, help string
	do          func(*gsmsim.Module)
}

// simActions are what can be done to a running module from its standard input.
var simActions = []simAction{
	{"coverage off", "no radio contact from now on", func(m *gsmsim.Module) { m.SetCoverage(false) }},
	{"coverage on", "radio contact is back", func(m *gsmsim.Module) { m.SetCoverage(true) }},
	{"drop context", "the network takes the PDP context away (+PDP DEACT)", (*gsmsim.Module).DropContext},
	{"forget nat", "the operator's NAT forgets the connection, and nobody is told", (*gsmsim.Module).ForgetNAT},
	{"reboot", "the module restarts by itself, as after a brown-out", (*gsmsim.Module).Reboot},
}

func simHelp() string {
	var b strings.Builder
	for _, a := range simActions {
		fmt.Fprintf(&b, "  %-14s %s\n", a.words, a.help)
	}
	fmt.Fprintf(&b, "  %-14s %s", "stats", "what the module has counted")
	return b.String()
}

func simCommand(m *gsmsim.Module, words []string) string {
	line := strings.ToLower(strings.Join(words, " "))
	if line == "stats" {
		return fmt.Sprintf("%+v", m.Stats())
	}
	i := slices.IndexFunc(simActions, func(a simAction) bool { return a.words == line })
	if i < 0 {
		return fmt.Sprintf("%q is no command; there are:\n%s", line, simHelp())
	}
	simActions[i].do(m)
	return line + ": done"
}

// simTrace prints each stretch of the dialogue with its time and direction.
func simTrace(w io.Writer) func(gsmsim.Direction, []byte) {
	var mu sync.Mutex
	begin := time.Now()
	return func(dir gsmsim.Direction, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%9.3f %s %q\n", time.Since(begin).Seconds(), dir, b)
	}
}
