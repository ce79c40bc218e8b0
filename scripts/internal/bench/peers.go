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
	program := filepath.Join(dir, "queue")
	build := exec.CommandContext(ctx, "go", "build", "-C", "bench", "-o", program, "./queue")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build in bench: %w", err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "-reps", strconv.Itoa(count))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has a disk to take away
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("bench/queue: %w", err)
	}
	var figures []figure
	for decoder := json.NewDecoder(&out); ; {
		var f figure
		err := decoder.Decode(&f)
		if err == io.EOF {
			return figures, nil
		}
		if err != nil {
			return nil, fmt.Errorf("bench/queue: %w", err)
		}
		figures = append(figures, f)
	}
}
