package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// backlogMessages is the backlog at which memory is measured; FIELDPOST_BENCH_BACKLOG makes it smaller, as for the queue.
	backlogMessages = 1_000_000
	// backlogBatch is as many messages as one request may carry.
	backlogBatch = 1000
	// idleFor is the time over which an agent's processor time is counted, 10 ms a tick: a reading is good to 0.02 % of a core.
	idleFor = time.Minute
	// settling is how long an agent that has connected needs for what comes once: presence, the page's first charts, the collector.
	settling = 15 * time.Second
	// draining is how long the drain of the backlog is watched, at the pace of a GPRS link.
	draining = 30 * time.Second
)

// footprint measures the memory and the processor time of the shipped binary. One run is enough: peaks are of the whole run, and
// an idle minute has thousands of wake-ups.
func footprint(ctx context.Context, _ int) ([]figure, error) {
	dir, err := os.MkdirTemp("", "fieldpost-footprint")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := footprintBench{dir: dir, binary: filepath.Join(dir, "fieldpost")}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", boards[0].tags, "-ldflags", "-s -w", "-o", b.binary, "./cmd/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	var figures []figure
	for _, part := range []func(context.Context) ([]figure, error){b.demo, b.idle, b.backlog} {
		f, err := part(ctx)
		if err != nil {
			return nil, err
		}
		figures = append(figures, f...)
	}
	return figures, nil
}

type footprintBench struct {
	dir, binary string
}

// demo plays the demo, whose process has agent, module, broker and sensors in it.
func (b footprintBench) demo(ctx context.Context) ([]figure, error) {
	cmd := exec.CommandContext(ctx, b.binary, "demo", "--listen", "127.0.0.1:0", "--json")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	p, err := watch(cmd)
	if err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("demo: %w\n%s", err, errOut.Bytes())
	}
	return p.memory("demo")
}

// idle counts the processor time of an agent that is connected through the simulated module and has nothing to do.
func (b footprintBench) idle(ctx context.Context) ([]figure, error) {
	broker, stop, err := startMosquitto(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	a, err := b.start(ctx, "idle", broker)
	if err != nil {
		return nil, err
	}
	defer a.stop()
	if err := a.connected(ctx); err != nil {
		return nil, err
	}
	closed, err := a.cpuShare(ctx)
	if err != nil {
		return nil, err
	}
	page, err := a.openPage(ctx)
	if err != nil {
		return nil, err
	}
	defer page.Close()
	open, err := a.cpuShare(ctx)
	if err != nil {
		return nil, err
	}
	figures, err := a.process.memory("idle")
	return append(figures,
		figure{Case: "idle, page closed", Metric: "cpu_of_a_core", Value: closed, Unit: "%"},
		figure{Case: "idle, page open", Metric: "cpu_of_a_core", Value: open, Unit: "%"}), err
}

// backlog fills the queue of an agent whose broker is away, restarts it on the full queue, and lets it drain a while.
func (b footprintBench) backlog(ctx context.Context) ([]figure, error) {
	broker, stop, err := startMosquitto(ctx, b.dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	a, err := b.start(ctx, "backlog", "127.0.0.1:9") // the discard service: nobody listens there
	if err != nil {
		return nil, err
	}
	n := backlogSize()
	if err := a.fill(ctx, n); err != nil {
		a.stop()
		return nil, err
	}
	figures, err := a.process.memory("taking in the backlog")
	a.stop()
	if err != nil {
		return nil, err
	}
	if a, err = b.start(ctx, "backlog", broker); err != nil {
		return nil, err
	}
	defer a.stop()
	if err := a.connected(ctx); err != nil {
		return nil, err
	}
	if err := sleep(ctx, draining); err != nil {
		return nil, err
	}
	if left, err := a.waiting(ctx); err != nil || left < n*9/10 {
		return nil, fmt.Errorf("%d of %d messages wait: that is no backlog any more (%w)", left, n, err)
	}
	drained, err := a.process.memory("draining the backlog")
	return append(figures, drained...), err
}

// backlogSize is backlogMessages, or what FIELDPOST_BENCH_BACKLOG says.
func backlogSize() int {
	n := backlogMessages
	_, _ = fmt.Sscan(os.Getenv("FIELDPOST_BENCH_BACKLOG"), &n)
	return n
}
