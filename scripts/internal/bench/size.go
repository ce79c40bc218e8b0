package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// boards are the machines that packages are made for.
var boards = []struct {
	name string
	tags string // those of scripts/package
	env  []string
}{
	{"amd64", "nethttpomithttp2", []string{"GOARCH=amd64"}},
	{"arm64", "nethttpomithttp2", []string{"GOARCH=arm64"}},
	{"armv6", "nethttpomithttp2,small", []string{"GOARCH=arm", "GOARM=6"}},
}

// binarySizes builds the agent as it is shipped, for each board. Builds don't vary, so it doesn't repeat them.
func binarySizes(ctx context.Context, _ int) ([]figure, error) {
	dir, err := os.MkdirTemp("", "fieldpost-size")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	var figures []figure
	for _, b := range boards {
		path := filepath.Join(dir, b.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", b.tags, "-ldflags", "-s -w", "-o", path, "./cmd/agent")
		cmd.Env = append(os.Environ(), append(b.env, "GOOS=linux", "CGO_ENABLED=0")...)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("go build for %s: %w", b.name, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{Case: b.name, Metric: "stripped_binary", Value: float64(info.Size()), Unit: "B"})
	}
	return figures, nil
}
