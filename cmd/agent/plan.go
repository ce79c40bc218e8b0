package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/plan"
	"github.com/fieldpost/fieldpost/queue"
)

// planned is a plan with what the configuration says to it.
type planned struct {
	Schema int `json:"schema"`
	plan.Result
	Flows       []plan.Flow `json:"flows"`
	BudgetBytes *int64      `json:"budget_bytes"` // null: no budget
	Fits        *bool       `json:"fits"`         // the budget but for its reserve; null: no budget
}

func newPlan() *cobra.Command {
	var rates []string
	var file string
	var asJSON bool
	var reconnects, shrink float64
	cmd := &cobra.Command{
		Use:   "plan CONFIG --rate TOPIC=N/PERIOD:BYTES",
		Short: "Predict bytes a month, days of buffer and flash wear",
		Long: `Predicts what readings cost with a configuration: bytes on the air in 30 days by cause, how long the queue holds out without
coverage, what is written to the flash, and whether the budget allows it. Nothing is connected or opened.

A rate is TOPIC=N/PERIOD:BYTES, such as site/pump-07/pressure=1/min:12 for a reading of 12 bytes a minute; PERIOD is s, min, h or d, or a duration such as 15m.
--rates FILE reads a YAML mapping of topics to such rates. Exit code 1: the budget is too small.`,
		Args: cobra.ExactArgs(1),
		RunE: withCode(func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(args[0])
			if err != nil {
				return err
			}
			flows, err := flowsOf(rates, file)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			in := plan.Configured(cfg, flows)
			in.Reconnects, in.Shrink = reconnects, shrink
			p := planned{Schema: 1, Result: plan.Of(in), Flows: flows}
			if limit := int64(cfg.Budget.MonthlyBytes); limit > 0 {
				fits := p.Total <= limit-int64(cfg.Budget.Reserve)
				p.BudgetBytes, p.Fits = &limit, &fits
			}
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(p)
			} else {
				printPlan(cmd.OutOrStdout(), p, in)
			}
			if err == nil && p.Fits != nil && !*p.Fits {
				return &exitError{code: exitFailed}
			}
			return err
		}),
	}
	cmd.Flags().StringArrayVar(&rates, "rate", nil, "readings of a topic: TOPIC=N/PERIOD:BYTES; several times for several")
	cmd.Flags().StringVar(&file, "rates", "", "YAML file with a mapping of topics to N/PERIOD:BYTES")
	cmd.Flags().Float64Var(&reconnects, "reconnects", 1, "lost connections a day")
	cmd.Flags().Float64Var(&shrink, "shrink", 1, "bytes after encoding.compress by bytes before, such as 0.3")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return cmd
}

// flowsOf reads the rates of the command line and of a file.
func flowsOf(rates []string, file string) (flows []plan.Flow, err error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var list yaml.MapSlice
		if err := yaml.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, item := range list {
			rates = append(rates, fmt.Sprintf("%v=%v", item.Key, item.Value))
		}
	}
	if len(rates) == 0 {
		return nil, errors.New("no rates: add --rate TOPIC=N/PERIOD:BYTES, such as --rate site/pressure=1/min:12")
	}
	for _, text := range rates {
		f, err := parseFlow(text)
		if err != nil {
			return nil, fmt.Errorf("--rate %s: %w", text, err)
		}
		flows = append(flows, f)
	}
	return flows, nil
}

var periods = map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// parseFlow reads TOPIC=N/PERIOD:BYTES.
func parseFlow(text string) (f plan.Flow, err error) {
	at := strings.LastIndex(text, "=")
	if at < 0 {
		return f, errors.New("write TOPIC=N/PERIOD:BYTES")
	}
	f.Topic = text[:at]
	if err := queue.ValidateTopic(f.Topic); err != nil {
		return f, err
	}
	rate, size, ok := strings.Cut(text[at+1:], ":")
	count, unit, slash := strings.Cut(rate, "/")
	period, known := periods[unit]
	if !ok || !slash {
		return f, errors.New("write the rate as N/PERIOD:BYTES, such as 1/min:12")
	}
	if !known {
		if period, err = time.ParseDuration(unit); err != nil || period <= 0 {
			return f, fmt.Errorf("%q is no period: use s, min, h or d, or a duration such as 15m", unit)
		}
	}
	n, err := strconv.ParseFloat(count, 64)
	if err != nil || !(n > 0 && n <= 1e6) {
		return f, fmt.Errorf("%q is no number of readings above 0", count)
	}
	if f.Payload, err = strconv.Atoi(size); err != nil || f.Payload < 0 {
		return f, fmt.Errorf("%q is no size in bytes", size)
	}
	f.Every = time.Duration(float64(period) / n)
	f.Seconds = f.Every.Seconds()
	return f, nil
}

func printPlan(out io.Writer, p planned, in plan.Input) {
	fmt.Fprintf(out, "%d readings in 30 days cost %s on the air, %.0f bytes each.\n", p.Messages, contractBytes(p.Total),
		float64(p.Total)/float64(max(1, p.Messages)))
	if p.Fits != nil {
		verdict := "fits"
		if !*p.Fits {
			verdict = "DOES NOT FIT"
		}
		fmt.Fprintf(out, "That %s the budget of %s but for its reserve.\n", verdict, contractBytes(*p.BudgetBytes))
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	both := p.Up.Plus(p.Down)
	for _, c := range both.Causes() {
		fmt.Fprintf(w, "  %s\t%s\t%.1f %%\t\n", c.Name, contractBytes(c.Bytes), 100*float64(c.Bytes)/float64(max(1, both.Total())))
	}
	_ = w.Flush()
	bound := "queue.max_bytes"
	if p.BufferBound == "age" {
		bound = "queue.max_age"
	}
	fmt.Fprintf(out, "\nWithout coverage the queue holds %.1f days of readings, bound by %s.\n", p.BufferDays, bound)
	fmt.Fprintf(out, "The flash is written %.1f GB a month, %d bytes for a reading.\n", float64(p.Flash)/1e9, p.FlashEach)
	fmt.Fprintf(out, "Assumed: %.3g lost connections a day, a ping after %v of silence.\n", in.Reconnects, config.Duration(in.Keepalive))
}
