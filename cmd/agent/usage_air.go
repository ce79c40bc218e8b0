package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/internal/device"
)

func newUsage() *cobra.Command {
	var path string
	var asJSON, days bool
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Tell what went over the air, by month, day, cause and topic",
		Long: `Tells the bytes that went over the air as IP packets in each month of the contract, by cause and by topic; with --days of
each day. It works beside the running agent and when none runs. What TCP and IP add is estimated, all else is counted.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadBeside(cmd, path)
			if err != nil {
				return err
			}
			r, err := usageReport(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			printUsage(cmd.OutOrStdout(), r, days)
			return nil
		}),
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object, with all days")
	cmd.Flags().BoolVar(&days, "days", false, "each day of the last five weeks instead of each month")
	return cmd
}

// usageReport asks the running agent or, when none runs, reads its file.
func usageReport(ctx context.Context, cfg setup) (r usage.Report, err error) {
	err = beside(ctx, cfg, func(ctx context.Context, c *control.Client) error {
		r, err = c.Usage(ctx)
		return err
	}, func(context.Context) error {
		l, err := usage.Open(device.UsageFile(cfg.Config), device.Budget(cfg.Config))
		if err != nil {
			return err
		}
		r = l.Report()
		return nil
	})
	return r, err
}

func printUsage(out io.Writer, r usage.Report, days bool) {
	spans, unit := r.Months, "month"
	if days {
		spans, unit = r.Days, "day"
	}
	if u := r.Undated; u.Total() > 0 {
		u.From = "not dated yet"
		spans = append(spans, u)
	}
	if len(spans) == 0 {
		fmt.Fprintln(out, "nothing was counted yet")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s from\tup\tdown\tall\tmessages\t\n", unit)
	for _, s := range spans {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t\n", s.From, contractBytes(s.Up.Total()), contractBytes(s.Down.Total()), contractBytes(s.Total()), s.Messages)
	}
	_ = w.Flush()
	if r.BudgetBytes != nil {
		fmt.Fprintf(out, "\nbudget %s a month, %s of them for alarms", contractBytes(*r.BudgetBytes), contractBytes(*r.Reserve))
		if r.Forecast != nil {
			fmt.Fprintf(out, "; %s expected", contractBytes(*r.Forecast))
		}
		fmt.Fprintln(out)
	}
	last := spans[len(spans)-1]
	fmt.Fprintf(out, "\n%s from %s, by cause:\n", unit, last.From)
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	both := last.Up.Plus(last.Down)
	for _, c := range both.Causes() {
		if c.Bytes > 0 {
			fmt.Fprintf(w, "  %s\t%s\t%.1f %%\t\n", c.Name, contractBytes(c.Bytes), 100*float64(c.Bytes)/float64(both.Total()))
		}
	}
	_ = w.Flush()
	if len(last.Prefixes) > 0 {
		fmt.Fprintln(out, "\nmessages by topic:")
		w = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, p := range slices.SortedFunc(maps.Keys(last.Prefixes), func(a, b string) int { return cmp.Compare(last.Prefixes[b], last.Prefixes[a]) }) {
			fmt.Fprintf(w, "  %s\t%s\t\n", printable(p), contractBytes(last.Prefixes[p]))
		}
		_ = w.Flush()
	}
}

// contractBytes is a number of bytes as contracts count them.
func contractBytes(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
