package device

import (
	"bytes"
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

// TestStopOnAFullDisk: what can't be saved is told and doesn't make a failure of the stop.
func TestStopOnAFullDisk(t *testing.T) {
	var log bytes.Buffer
	m := memory{log: zerolog.New(&log)}
	m.add(func() error { return syscall.ENOSPC })
	if err := m.close(); err != nil {
		t.Errorf("got %v, want a clean stop", err)
	}
	if !strings.Contains(log.String(), syscall.ENOSPC.Error()) {
		t.Errorf("the log doesn't tell why nothing was saved: %s", &log)
	}
}
