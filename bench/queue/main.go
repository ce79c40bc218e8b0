// Queue compares this project's queue with other stores that a gateway might keep its readings in, side by side in one
// run: each store and way of use in turn, in shuffled order, several times, and the medians of that.
//
// It prints an object a line: {"area","case","metric","value","unit"}. A case is STORE/WAY; the ratios at the end are
// between the medians, above 1 where this project's queue is faster or, for bytes and flushes, below 1 where it writes less.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

type figure struct {
	Area   string  `json:"area"`
	Case   string  `json:"case"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "queue:", err)
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("queue", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder to work in; \"\": a RAM disk if that can be made, whose bytes and flushes are counted")
	reps := flags.Int("reps", 3, "repetitions, of which the median counts")
	seconds := flags.Float64("seconds", 1, "duration of each measurement")
	slow := flags.Duration("slow", 0, "time added to each flush, as a flash takes (by strace; bytes and flushes aren't counted then)")
	backlog := flags.Uint64("backlog", 0, "measure a lone producer at a backlog of so many messages, and after it was drained, and nothing else")
	only := flags.String("stores", "", "stores with commas between them; \"\": all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var own *disk
	if *dir == "" {
		if own, err = newDisk(); err == nil {
			*dir = own.dir
			defer func() { err = errors.Join(err, own.close()) }()
		} else {
			fmt.Fprintln(os.Stderr, "queue: no RAM disk, so bytes and flushes aren't counted:", err)
			*dir = os.TempDir()
		}
	}
	if *slow > 0 {
		return slowly(ctx, *slow, "-dir", *dir, "-reps", fmt.Sprint(*reps), "-seconds", fmt.Sprint(*seconds), "-stores", *only, "-backlog", fmt.Sprint(*backlog))
	}
	jobs := jobsOf(*only, *backlog, *reps)
	if len(jobs) == 0 {
		return fmt.Errorf("no store is called %s", *only)
	}
	rand.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	values := make(map[string][]float64)
	for i, j := range jobs {
		if ctx.Err() != nil { // the RAM disk has to go
			return ctx.Err()
		}
		got, err := j.run(*dir, own, *seconds)
		if err != nil {
			return fmt.Errorf("%s: %w", j.name(), err)
		}
		for metric, v := range got {
			values[j.name()+" "+metric] = append(values[j.name()+" "+metric], v)
		}
		fmt.Fprintf(os.Stderr, "%d of %d: %s %v\n", i+1, len(jobs), j.name(), got)
	}
	return report(values)
}

// jobsOf lists what is to be measured of the stores with these names.
func jobsOf(only string, backlog uint64, reps int) (jobs []job) {
	ways := modes()
	if backlog > 0 {
		ways = []mode{{"backlog", func(s store, d *disk, seconds float64) (map[string]float64, error) {
			return backlogged(s, d, backlog, seconds)
		}}}
	}
	for _, p := range peers() {
		if only != "" && !slices.Contains(strings.Split(only, ","), p.name) || backlog > 0 && !p.batches {
			continue
		}
		for _, m := range ways {
			for range reps {
				jobs = append(jobs, job{p, m})
			}
		}
	}
	return jobs
}

// job is one measurement.
type job struct {
	peer
	mode
}

func (j job) name() string { return j.peer.name + "/" + j.mode.name }

func (j job) run(dir string, own *disk, seconds float64) (got map[string]float64, err error) {
	work, err := os.MkdirTemp(dir, "store")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	s, err := j.open(work)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return j.measure(s, own, seconds)
}

// report prints the medians, and how this project's compare.
func report(values map[string][]float64) error {
	out := json.NewEncoder(os.Stdout)
	medians := make(map[string]float64)
	keys := slices.Sorted(maps.Keys(values))
	for _, key := range keys {
		slices.Sort(values[key])
		medians[key] = values[key][len(values[key])/2]
		name, metric, unit := split(key)
		if err := out.Encode(figure{"peers", name, metric, medians[key], unit}); err != nil {
			return err
		}
	}
	for _, key := range keys {
		name, metric, _ := split(key)
		rival, way, _ := strings.Cut(name, "/")
		_, rest, _ := strings.Cut(key, "/")
		ours, ok := medians["fieldpost/"+rest]
		if rival == "fieldpost" || !ok || medians[key] == 0 { // who never flushes is no measure of flushes
			continue
		}
		if err := out.Encode(figure{"peers", way, metric + "_vs_" + rival, ours / medians[key], ""}); err != nil {
			return err
		}
	}
	return nil
}

// split takes "STORE/WAY METRIC:UNIT" apart.
func split(key string) (name, metric, unit string) {
	name, metric, _ = strings.Cut(key, " ")
	metric, unit, _ = strings.Cut(metric, ":")
	return name, metric, unit
}
