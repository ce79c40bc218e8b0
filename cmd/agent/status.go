package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
)

func newStatus() *cobra.Command {
	var path string
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how things stand, verdict first",
		Long: `Says how things stand, verdict first, then the link step by step; also when the agent is stopped.

Exit code 0: connected; 1: not connected, or someone has to act; 3: the agent is not running.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			if watch && asJSON {
				return &exitError{exitUsage, errors.New("status: --json is one answer and --watch many: give one of the two")}
			}
			if watch {
				return watchStatus(cmd.Context(), cfg, cmd.OutOrStdout())
			}
			st, err := status(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(st)
			} else {
				printStatus(cmd.OutOrStdout(), st)
			}
			if err != nil {
				return err
			}
			return healthOf(st)
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "again every second, until interrupted")
	return cmd
}

// healthOf turns a status into the exit code.
func healthOf(st agent.Status) error {
	switch st.Verdict {
	case agent.VerdictOK:
		return nil
	case agent.VerdictStopped:
		return &exitError{code: exitUnreachable}
	}
	return &exitError{code: exitFailed}
}

// status asks the running agent or, when none runs, the queue's file.
func status(ctx context.Context, cfg *config.Config) (st agent.Status, err error) {
	err = beside(ctx, cfg, func(ctx context.Context, c *control.Client) error {
		st, err = c.Status(ctx)
		return err
	}, func(context.Context) error {
		st, err = stoppedStatus(cfg)
		return err
	})
	return st, err
}

func stoppedStatus(cfg *config.Config) (agent.Status, error) {
	st := agent.Status{Schema: agent.StatusSchema, Version: version, Device: cfg.Device, Time: time.Now(), Verdict: agent.VerdictStopped,
		Sources: []agent.SourceStatus{}, Outages: []agent.Outage{}}
	st.Link.Kind, st.Link.Broker, st.Link.Steps = cfg.Link, brokerName(cfg), []agent.StepStatus{}
	var err error
	st.Queue, err = stoppedQueue(cfg)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return st, err
	}
	st.Reason = "the agent is not running; " + agent.Waiting(st.Queue.Messages)
	return st, nil
}

// stoppedQueue reads the queue's file while no agent has it open. It makes no file where there is none.
func stoppedQueue(cfg *config.Config) (agent.QueueStatus, error) {
	if _, err := os.Stat(cfg.QueueFile()); err != nil {
		return agent.QueueStatus{Lanes: map[string]uint64{}, Dropped: map[string]uint64{}}, startError(err)
	}
	q, err := openQueue(cfg)
	if err != nil {
		return agent.QueueStatus{}, startError(err)
	}
	return agent.QueueStatusOf(q), q.Close()
}

func watchStatus(ctx context.Context, cfg *config.Config, out io.Writer) error {
	f, ok := out.(*os.File)
	live := ok && isLive(f)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		st, err := status(ctx, cfg)
		if ctx.Err() != nil {
			return nil
		}
		if live {
			fmt.Fprint(out, "\x1b[H\x1b[2J")
		}
		if err == nil {
			printStatus(out, st)
		} else { // an agent that restarts, say: the next answer may be better
			fmt.Fprintf(out, "no answer: %v\n", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// printStatus writes a status for a person; it fits 80 columns and 24 lines.
func printStatus(out io.Writer, st agent.Status) {
	fmt.Fprintf(out, "%s: %s\n\n", strings.ToUpper(string(st.Verdict)), clip(st.Reason, 200))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "device\t%s, fieldpost %s\n", st.Device, st.Version)
	fmt.Fprintf(w, "link\t%s to %s\n", st.Link.Kind, st.Link.Broker)
	if m := st.Link.Modem; m != nil {
		fmt.Fprintf(w, "module\t%s\n", modemLine(m))
	}
	for _, s := range st.Link.Steps {
		fmt.Fprintf(w, "  %s %s\t%s\n", stepMark(s.State), s.Step, clip(stepLine(s, st.Time), 60))
	}
	if k := st.Link.Keepalive; k != nil {
		fmt.Fprintf(w, "keepalive\ta ping after %s of silence, %s\n", agent.Span(time.Duration(k.IntervalSeconds)*time.Second), agent.KeepaliveNote(k))
	}
	q := st.Queue
	fmt.Fprintf(w, "queue\t%d messages, %s of %s%s\n", q.Messages, disk(q.Bytes), disk(q.MaxBytes), oldest(q, st.Time))
	for reason, n := range q.Dropped {
		if n > 0 {
			fmt.Fprintf(w, "  dropped\t%d: %s\n", n, reason)
		}
	}
	if r := q.Recovery; r != nil {
		fmt.Fprintf(w, "  damaged\t%s\n", recoveryLine(r))
	}
	if st.Running {
		d := st.Delivery
		fmt.Fprintf(w, "delivery\t%d accepted, %d delivered, %d in flight, %d repeated, %d refused\n", d.Accepted, d.Delivered, d.InFlight, d.Repeated, d.Refused)
	}
	for _, s := range st.Sources {
		fmt.Fprintf(w, "source %s\t%s\n", s.Name, clip(sourceLine(s, st.Time), 60))
	}
	for i, o := range st.Outages {
		if i == 3 {
			break
		}
		fmt.Fprintf(w, "outage\t%s\n", clip(outageLine(o, st.Time), 62))
	}
	_ = w.Flush()
}

func stepMark(s agent.StepState) string {
	switch s {
	case agent.StepOK:
		return "+"
	case agent.StepFailed:
		return "x"
	case agent.StepWaiting:
		return ">"
	}
	return "."
}

func stepLine(s agent.StepStatus, now time.Time) string {
	text := string(s.State) + " for " + agent.Span(now.Sub(s.Since))
	if s.State == agent.StepIdle {
		text = "not yet"
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

func modemLine(m *agent.ModemStatus) string {
	parts := []string{m.Model}
	if m.Operator != "" {
		parts = append(parts, m.Operator)
	}
	if m.SignalDBm != nil {
		parts = append(parts, fmt.Sprintf("%d dBm", *m.SignalDBm))
	}
	if m.IP != "" {
		parts = append(parts, m.IP)
	}
	return strings.Join(parts, ", ")
}

func oldest(q agent.QueueStatus, now time.Time) string {
	if q.OldestAt == nil {
		return ""
	}
	return ", the oldest " + agent.Span(now.Sub(*q.OldestAt)) + " old"
}

func sourceLine(s agent.SourceStatus, now time.Time) string {
	text := fmt.Sprintf("%s: %d accepted", s.Address, s.Accepted)
	if s.Refused > 0 {
		text += fmt.Sprintf(", %d refused", s.Refused)
	}
	if s.LastAt != nil {
		text += fmt.Sprintf(", last %s ago on %s", agent.Span(now.Sub(*s.LastAt)), s.LastTopic)
	}
	if s.Error != "" {
		text += "; " + s.Error
	}
	return text
}

func outageLine(o agent.Outage, now time.Time) string {
	until, still := now, ", still"
	if o.Until != nil {
		until, still = *o.Until, ""
	}
	return fmt.Sprintf("%s for %s%s: %s", o.From.Format("Jan 2 15:04"), agent.Span(until.Sub(o.From)), still, o.Why)
}
