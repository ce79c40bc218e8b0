package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/queue"
)

func newQueueExport() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export [FILE|-]",
		Short: "Write all messages as JSON lines; they stay in the queue",
		Long: `Writes all messages as JSON lines, to standard output or into a new FILE, which is on the disk (or stick) when the
command has ended. The messages stay in the queue: "fieldpost queue purge --all" removes them when they have been imported
elsewhere with "fieldpost queue import".

Exit code 1: some records are damaged and were left out.`,
		Args: cobra.MaximumNArgs(1),
		RunE: withStore(&path, func(cmd *cobra.Command, args []string, store queueStore) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			total := int64(-1)
			if st, err := store.stats(cmd.Context()); err == nil {
				total = int64(st.Messages)
			}
			var bar *progress
			if name != "-" || !isTerminal(cmd.OutOrStdout()) { // else the messages are progress enough
				bar = newProgress(cmd.ErrOrStderr(), "exporting", total, false)
			}
			done, err := exportTo(cmd, store, name, bar)
			bar.end()
			if err != nil {
				return storeError(err)
			}
			out := cmd.OutOrStdout()
			if name == "-" {
				out = cmd.ErrOrStderr() // the messages themselves are the result
			}
			if asJSON {
				err = json.NewEncoder(out).Encode(struct {
					Schema int `json:"schema"`
					queue.Exported
				}{1, done})
			} else {
				_, err = fmt.Fprintf(out, "%s exported\n", messages(done.Messages))
			}
			if err == nil && done.Damaged > 0 {
				err = fmt.Errorf("%d damaged records were left out", done.Damaged)
			}
			return err
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// exportTo writes to standard output or into a new file, of which nothing stays if it is not whole.
func exportTo(cmd *cobra.Command, store queueStore, name string, bar *progress) (queue.Exported, error) {
	if name == "-" {
		return store.export(cmd.Context(), bar.lines(cmd.OutOrStdout()))
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return queue.Exported{}, fmt.Errorf("%s is there already and may be all that is left of other messages: choose another name", name)
	}
	if err != nil {
		return queue.Exported{}, err
	}
	done, err := store.export(cmd.Context(), bar.lines(f))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return done, errors.Join(err, os.Remove(name))
	}
	return done, nil
}

func newQueueImport() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Put the messages of an export into the queue",
		Long: `Puts the messages of an export into the queue, behind those that are there, with the ids and times that they had.
A message that is there already is left out, so the same file may be imported again; nothing is dropped for them. Where
there is no queue yet, it is made.

What was imported before an error is on disk. Exit code 75: the queue or the disk is full; import the file again later.`,
		Args: cobra.ExactArgs(1),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			in, size, err := openImport(cmd, args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			store, err := openStore(cmd.Context(), cfg, true)
			if err != nil {
				return err
			}
			bar := newProgress(cmd.ErrOrStderr(), "importing", size, true)
			done, err := store.importLines(cmd.Context(), bar.bytes(in))
			bar.end()
			err = storeError(errors.Join(err, store.Close()))
			if err == nil && asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Schema int `json:"schema"`
					queue.Imported
				}{1, done})
			}
			out := cmd.OutOrStdout()
			if err != nil {
				out = cmd.ErrOrStderr()
			}
			fmt.Fprintf(out, "%s imported, %d were there already\n", messages(done.Stored), done.Present)
			return err
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// openImport opens what is to be imported; its size is -1 if it isn't known.
func openImport(cmd *cobra.Command, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(interruptible(cmd.Context(), cmd.InOrStdin())), -1, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	switch {
	case err == nil && info.IsDir():
		err = fmt.Errorf("%s is a folder: name the file of an export", name)
		fallthrough
	case err != nil:
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// interruptible is in until ctx ends: nothing else wakes who reads from a terminal or a pipe. Its goroutine may then stay
// behind in a Read, until the process ends.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	return r
}

func newQueuePurge() *cobra.Command {
	var path, lane, topic string
	var all, yes, dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Drop messages that need not be delivered any more",
		Long: `Drops the messages of a lane or below a topic, or all of them. It shows first what it would do, and asks; without a
terminal it does nothing unless --yes is given. Messages that come meanwhile stay. What was dropped is counted and
reported to the broker.`,
		Args: cobra.NoArgs,
		RunE: withStore(&path, func(cmd *cobra.Command, _ []string, store queueStore) error {
			filter, err := filterOf(lane, topic)
			if err != nil {
				return err
			}
			if (filter == queue.Filter{}) != all {
				return &exitError{exitUsage, errors.New("say what to drop: --lane, --topic or both, or --all alone")}
			}
			found, err := store.purge(cmd.Context(), filter, true, nil)
			if err != nil {
				return storeError(err)
			}
			what := purged(found)
			if dryRun || found.Messages == 0 {
				return printPurged(cmd, asJSON, true, found, "would drop "+what)
			}
			if !yes {
				if err := confirm(cmd, what); err != nil {
					return err
				}
			}
			filter.Last = found.Last
			bar := newProgress(cmd.ErrOrStderr(), "dropping", int64(found.Messages), false)
			done, err := store.purge(cmd.Context(), filter, false, func(at queue.Purged) { bar.at(int64(at.Messages)) })
			bar.end()
			if err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "dropped %s before this:\n", messages(done.Messages))
				return storeError(err)
			}
			return printPurged(cmd, asJSON, false, done, "dropped "+purged(done))
		}),
	}
	configFlag(cmd, &path)
	filterFlags(cmd, &lane, &topic)
	cmd.Flags().BoolVar(&all, "all", false, "everything")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be dropped")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func purged(p queue.Purged) string {
	return fmt.Sprintf("%s with %d bytes of payload", messages(p.Messages), p.PayloadBytes)
}

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

func printPurged(cmd *cobra.Command, asJSON, dryRun bool, done queue.Purged, text string) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			Schema int  `json:"schema"`
			DryRun bool `json:"dry_run"`
			queue.Purged
		}{1, dryRun, done})
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// confirm asks whoever sits at the terminal.
func confirm(cmd *cobra.Command, what string) error {
	if !isTerminal(cmd.InOrStdin()) {
		return &exitError{exitUsage, fmt.Errorf("this would drop %s: nobody is there to be asked, so give --yes if that is meant", what)}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Drop %s? They will never be delivered. [y/N] ", what)
	answer, err := bufio.NewReader(interruptible(cmd.Context(), cmd.InOrStdin())).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &exitError{exitFailed, errors.New("nothing was dropped")}
}
