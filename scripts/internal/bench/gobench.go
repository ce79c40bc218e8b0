package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/fieldpost/fieldpost/"

// goBenchmarks measures with the Go benchmarks of a package and those below it.
func goBenchmarks(pkg string) measure {
	return func(ctx context.Context, count int) ([]figure, error) {
		if _, err := os.Stat(pkg); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem",
			"-count", strconv.Itoa(count), "-timeout", "0", "./"+pkg+"/...")
		cmd.Stdout = io.MultiWriter(&out, os.Stderr)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("go test -bench: %w", err)
		}
		runs, err := parseBenchmarks(&out, module+pkg, runtime.GOMAXPROCS(0))
		if err != nil {
			return nil, err
		}
		return medians(runs), nil
	}
}

// figuresOfTests measures with tests of a package that print figures in the form of benchmarks when FIELDPOST_FIGURES is set: what
// happens in virtual time is the same each time, so once is enough.
func figuresOfTests(pkg, run string) measure {
	return func(ctx context.Context, _ int) ([]figure, error) {
		if _, err := os.Stat(pkg); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		var out bytes.Buffer
		cmd := exec.CommandContext(ctx, "go", "test", "-v", "-run", run, "-count", "1", "-timeout", "0", "./"+pkg)
		cmd.Env = append(os.Environ(), "FIELDPOST_FIGURES=1")
		cmd.Stdout = io.MultiWriter(&out, os.Stderr)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("go test -run %s: %w", run, err)
		}
		return parseBenchmarks(&out, module+pkg, 1)
	}
}

// all joins what several measures give.
func all(parts ...measure) measure {
	return func(ctx context.Context, count int) ([]figure, error) {
		var figures []figure
		for _, m := range parts {
			f, err := m(ctx, count)
			if err != nil {
				return nil, err
			}
			figures = append(figures, f...)
		}
		return figures, nil
	}
}

// parseBenchmarks reads what go test -bench prints, see https://go.dev/design/14313-benchmark-format. A case is named by
// its benchmark, with the package in front if that lies below root.
func parseBenchmarks(r io.Reader, root string, procs int) ([]figure, error) {
	var figures []figure
	var below string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if path, ok := strings.CutPrefix(line, "pkg: "); ok {
			below = strings.TrimPrefix(path, root)
			if below = strings.TrimPrefix(below, "/"); below != "" {
				below += "/"
			}
			continue
		}
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "Benchmark") || len(fields) < 4 || len(fields)%2 != 0 {
			continue // a log line, or the name of a benchmark that logged something
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if procs > 1 {
			name = strings.TrimSuffix(name, "-"+strconv.Itoa(procs))
		}
		for i := 2; i < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark line %q: %w", line, err)
			}
			metric, unit := metricOf(fields[i+1])
			figures = append(figures, figure{Case: below + name, Metric: metric, Value: value, Unit: unit})
		}
	}
	return figures, lines.Err()
}

// metricOf splits the unit of a benchmark into what is measured and in which unit.
func metricOf(unit string) (metric, inUnit string) {
	switch unit {
	case "ns/op":
		return "time", unit
	case "B/op":
		return "allocated", unit
	case "allocs/op":
		return "allocations", "1/op"
	case "MB/s":
		return "throughput", unit
	}
	metric, inUnit, _ = strings.Cut(unit, ":")
	return metric, inUnit
}

// medians joins the runs of each case and metric, in the order in which they first came.
func medians(runs []figure) []figure {
	values := make(map[figure][]float64)
	var order []figure
	for _, f := range runs {
		key := f
		key.Value = 0
		if values[key] == nil {
			order = append(order, key)
		}
		values[key] = append(values[key], f.Value)
	}
	for i, key := range order {
		order[i].Value = median(values[key])
	}
	return order
}

func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
