//go:build small

package main

import (
	"context"
	"errors"
	"io"
)

// runFieldDemo is left out of the binary for the smallest boards: a month of simulation is nothing for them, and what it
// takes is a fortieth of the binary.
func runFieldDemo(context.Context, demoOptions, io.Writer, io.Writer) error {
	return &exitError{exitUsage, errors.New("demo: --field: this binary was built for small boards, without the simulated field; play it with the binary for amd64 or arm64")}
}
