package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
)

const (
	exitFailed  = 1
	exitNothing = 2 // the area has no cases, or the command line is wrong
)

// figure is one measured value.
type figure struct {
	Area   string  `json:"area"`
	Case   string  `json:"case"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"` // empty for ratios and counts
}

// measure returns the figures of an area without its name; count is how often what varies is repeated.
type measure func(ctx context.Context, count int) ([]figure, error)

var areas = map[string]measure{
	"air":       all(goBenchmarks("mqttconn"), figuresOfTests("internal/device", airTests), peerClients),
	"footprint": footprint,
	"link":      all(goBenchmarks("gsmnet"), figuresOfTests("gsmnet", linkTests)),
	"peers":     peerStores,
	"queue":     all(goBenchmarks("queue"), peerStores),
	"size":      binarySizes,
	"storm":     figuresOfTests("mqttconn", "^TestFleetComesBackSlowly$"),
}

// airTests are the tests of a whole device that measure bytes.
const airTests = "^Test(BytesOnTheAir|EncodingOnTheAir|DrainUsesTheUplink|BreakInABurst|KeepaliveSettlesBelowThePatienceOfTheNetwork|NoPingWhileMessagesFlow)$"

// linkTests are the tests of package gsmnet that measure.
const linkTests = "^(TestBulkUsesTheLink|TestG4_8_GuidesWindow|TestOnePublishEach|TestSmallWritesAreGathered|TestSmallWriteLeavesAtOnce|TestDownlink)$"

var errUsage = errors.New("wrong command line")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	area, asJSON, count, err := parse(args)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "scripts/bench: %v\n", err)
		}
		fmt.Fprintf(os.Stderr, "usage: scripts/bench %s [--json] [--count N]\n", strings.Join(names(), "|"))
		return exitNothing
	}
	figures, err := areas[area](ctx, count)
	if err != nil {
		fmt.Fprintf(os.Stderr, "scripts/bench: %v\n", err)
		return exitFailed
	}
	if len(figures) == 0 {
		fmt.Fprintf(os.Stderr, "scripts/bench: area %s has no cases yet\n", area)
		return exitNothing
	}
	for i := range figures {
		figures[i].Area = area
	}
	if err := show(os.Stdout, figures, asJSON); err != nil {
		fmt.Fprintf(os.Stderr, "scripts/bench: %v\n", err)
		return exitFailed
	}
	return 0
}

// parse takes the area before or after the flags.
func parse(args []string) (area string, asJSON bool, count int, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&asJSON, "json", false, "")
	flags.IntVar(&count, "count", 3, "") // the smallest number of runs whose median ignores an outlier
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return "", false, 0, err
		}
		if args = flags.Args(); len(args) > 0 {
			if area != "" {
				return "", false, 0, fmt.Errorf("%w: one area at a time", errUsage)
			}
			area, args = args[0], args[1:]
		}
	}
	switch {
	case area == "":
		return "", false, 0, fmt.Errorf("%w: which area?", errUsage)
	case areas[area] == nil:
		return "", false, 0, fmt.Errorf("%w: no area is called %q", errUsage, area)
	case count < 1:
		return "", false, 0, fmt.Errorf("%w: --count %d measures nothing", errUsage, count)
	}
	return area, asJSON, count, nil
}

func names() []string { return slices.Sorted(maps.Keys(areas)) }

func show(w io.Writer, figures []figure, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		for _, f := range figures {
			if err := enc.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CASE\tMETRIC\tVALUE\tUNIT")
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%s\t%.6g\t%s\n", f.Case, f.Metric, f.Value, f.Unit)
	}
	return table.Flush()
}
