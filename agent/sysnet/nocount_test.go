//go:build linux

package sysnet_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/fieldpost/fieldpost/agent/sysnet"
)

// A kernel that doesn't answer must not look like one that has nothing unacknowledged. The test runs itself again under
// strace, which lets the question fail.
func TestNoCountIsSaid(t *testing.T) {
	const inChild = "FIELDPOST_TEST_NO_COUNT"
	if os.Getenv(inChild) == "" {
		cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qq", "-o", os.DevNull,
			"-e", "trace=ioctl", "-e", "inject=ioctl:error=ENOTTY", os.Args[0], "-test.run", "^TestNoCountIsSaid$")
		cmd.Env = append(os.Environ(), inChild+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("under strace (scripts/test installs it): %v\n%s", err, out)
		}
		return
	}
	conn, _ := pair(t, sysnet.Dialer{})
	if _, err := io.WriteString(conn, "text"); err != nil {
		t.Fatal(err)
	}
	err := waitAcked(t, conn, 4, patience)
	if !errors.Is(err, sysnet.ErrNoCount) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("WaitAcked = %v, want ErrNoCount", err)
	}
	if got := conn.Acked(); got != 0 {
		t.Errorf("Acked() = %d, want 0", got)
	}
}
