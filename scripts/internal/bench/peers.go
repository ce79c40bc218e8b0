package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// peerStores compares the queue with other stores. They live in a module of their own, so that the product depends on none
// of them; its dependencies are fetched when this is first asked for.
func peerStores(ctx context.Context, count int) ([]figure, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return runPeers(ctx, dir, "queue", "-reps", strconv.Itoa(count))
}

// peerClients compares the agent's bytes on the air with those of mosquitto's bridge and of Paho. It takes root, for it makes network
// namespaces; else there is nothing to compare.
func peerClients(ctx context.Context, count int) ([]figure, error) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "scripts/bench: without root there are no network namespaces, and so no comparison with mosquitto and Paho")
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	agent := filepath.Join(dir, "fieldpost")
	build := exec.CommandContext(ctx, "go", "build", "-o", agent, "./cmd/agent")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build ./cmd/agent: %w", err)
	}
	return runPeers(ctx, dir, "air", "-agent", agent, "-readings", "agent/envelope/testdata/readings.jsonl", "-count", strconv.Itoa(count))
}

// runPeers builds a program of the module bench/ into dir and reads the figures that it prints.
func runPeers(ctx context.Context, dir, name string, args ...string) ([]figure, error) {
	program := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-C", "bench", "-o", program, "./"+name)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build in bench: %w", err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has something to take away
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("bench/%s: %w", name, err)
	}
	var figures []figure
	for decoder := json.NewDecoder(&out); ; {
		var f figure
		err := decoder.Decode(&f)
		if err == io.EOF {
			return figures, nil
		}
		if err != nil {
			return nil, fmt.Errorf("bench/%s: %w", name, err)
		}
		figures = append(figures, f)
	}
}
