package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

func newQueue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Look into the queue, carry it elsewhere or empty it",
		Long: `Works on the queue beside the running agent, through its socket, or on the file of a stopped one.

Exit code 3: neither an agent nor a queue is there; 75: another command has the file, or the queue is full.`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newQueueStats(), newQueueLs(), newQueueShow(), newQueueExport(), newQueueImport(), newQueuePurge())
	return cmd
}

// withStore wraps the function of a command that works on an existing queue.
func withStore(path *string, run func(cmd *cobra.Command, args []string, store queueStore) error) func(*cobra.Command, []string) error {
	return withCode(func(cmd *cobra.Command, args []string) (err error) {
		cfg, err := loadBeside(cmd, *path)
		if err != nil {
			return err
		}
		store, err := openStore(cmd.Context(), cfg, false)
		if err != nil {
			return err
		}
		err = run(cmd, args, store)
		if closeErr := store.Close(); err == nil {
			err = storeError(closeErr)
		}
		return err
	})
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "one JSON object")
}

// filterFlags adds what selects messages. The lane is checked by filterOf.
func filterFlags(cmd *cobra.Command, lane, topic *string) {
	cmd.Flags().StringVar(lane, "lane", "", "only alarm, normal or bulk")
	cmd.Flags().StringVar(topic, "topic", "", "only this topic and those below it: site/a, site/a/b, but not site/ab")
}

func filterOf(lane, topic string) (queue.Filter, error) {
	f := queue.Filter{Topic: topic}
	if lane == "" {
		return f, nil
	}
	var err error
	if f.Lane, err = queue.ParseLane(lane); err != nil {
		return f, &exitError{exitUsage, err}
	}
	return f, nil
}

func newQueueStats() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Count what waits, and what was dropped and why",
		Args:  cobra.NoArgs,
		RunE: withStore(&path, func(cmd *cobra.Command, _ []string, store queueStore) error {
			st, err := store.stats(cmd.Context())
			if err != nil {
				return storeError(err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Schema int `json:"schema"`
					agent.QueueStatus
				}{1, st})
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "messages\t%d\n", st.Messages)
			for _, lane := range queue.Lanes() {
				fmt.Fprintf(w, "  %s\t%d\n", lane, st.Lanes[lane.String()])
			}
			fmt.Fprintf(w, "bytes\t%s of %s\n", disk(st.Bytes), disk(st.MaxBytes))
			fmt.Fprintf(w, "file\t%s\n", disk(st.FileBytes))
			if st.OldestAt != nil {
				fmt.Fprintf(w, "oldest\t%s\n", st.OldestAt.Local().Format(time.DateTime))
			}
			if st.Refusing != "" {
				fmt.Fprintf(w, "refused\tall readings: %s\n", st.Refusing)
			}
			for _, reason := range slices.Sorted(maps.Keys(st.Dropped)) {
				fmt.Fprintf(w, "dropped\t%d (%s)\n", st.Dropped[reason], reason)
			}
			if r := st.Recovery; r != nil {
				fmt.Fprintf(w, "damaged\t%s\n", recoveryLine(r))
			}
			return w.Flush()
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	return cmd
}

// recoveryLine says what became of a damaged file.
func recoveryLine(r *agent.RecoveryStatus) string {
	return fmt.Sprintf("%d saved, %s; it is now %s", r.Saved, r.LostWords(), r.SetAside)
}

func newQueueLs() *cobra.Command {
	var path, lane, topic string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List messages in the order of delivery",
		Args:  cobra.NoArgs,
		RunE: withStore(&path, func(cmd *cobra.Command, _ []string, store queueStore) error {
			if limit < 1 || limit > control.MaxRows {
				return &exitError{exitUsage, fmt.Errorf("--limit %d: it can be from 1 to %d; queue export has them all", limit, control.MaxRows)}
			}
			filter, err := filterOf(lane, topic)
			if err != nil {
				return err
			}
			list, err := store.list(cmd.Context(), filter, limit)
			if err != nil {
				return storeError(err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			return printList(cmd, list)
		}),
	}
	configFlag(cmd, &path)
	filterFlags(cmd, &lane, &topic)
	cmd.Flags().IntVar(&limit, "limit", 20, "how many at most")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printList(cmd *cobra.Command, list control.Listing) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tLANE\tTIME\tTOPIC\tQOS\tBYTES\tPAYLOAD")
	for _, m := range list.Messages {
		preview := m.Preview
		if m.Cut {
			preview += "…"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%d\t%s\n", m.Seq, m.Lane, wallTime(m.Time, m.Trust), control.Escape(m.Topic), m.QoS, m.PayloadBytes, preview)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if list.More {
		fmt.Fprintln(cmd.ErrOrStderr(), "more match: see --limit, --lane and --topic")
	}
	if list.Damaged > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d damaged records were passed over\n", list.Damaged)
	}
	return nil
}

// wallTime marks a time whose clock was not known to be right.
func wallTime(t time.Time, trust string) string {
	text := t.Local().Format(time.DateTime)
	if trust != queue.TrustKnown.String() {
		text += "?"
	}
	return text
}

func newQueueShow() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show SEQ",
		Short: "Show one message whole",
		Args:  cobra.ExactArgs(1),
		RunE: withStore(&path, func(cmd *cobra.Command, args []string, store queueStore) error {
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return &exitError{exitUsage, fmt.Errorf("%q is no sequence: queue ls shows them in its first column", args[0])}
			}
			m, err := store.show(cmd.Context(), seq)
			if err != nil {
				return storeError(err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(m)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "seq\t%d\nid\t%s\nlane\t%s\ntopic\t%s\nqos\t%d\nretain\t%v\n", m.Seq, m.ID, m.Lane, control.Escape(m.Topic), m.QoS, m.Retain)
			fmt.Fprintf(w, "source\t%s\ntime\t%s (clock %s)\n", control.Escape(m.Source), m.Time.Local().Format(time.RFC3339Nano), m.Trust)
			if !m.Expires.IsZero() {
				fmt.Fprintf(w, "expires\t%s\n", m.Expires.Local().Format(time.RFC3339))
			}
			fmt.Fprintf(w, "attempts\t%d\npayload\t%d bytes\n", m.Attempts, len(m.Payload))
			if err := w.Flush(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), control.Escape(string(m.Payload)))
			return err
		}),
	}
	configFlag(cmd, &path)
	jsonFlag(cmd, &asJSON)
	return cmd
}
