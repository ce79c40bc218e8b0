package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// slowly runs this program again with time added to each of its flushes: a plain model of a flash, whose flush takes some
// 5 ms.
func slowly(ctx context.Context, delay time.Duration, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	inject := fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", delay.Microseconds())
	args = append([]string{"-f", "--seccomp-bpf", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", inject, self}, args...)
	cmd := exec.CommandContext(ctx, "strace", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the disk is this process's to take away
	return cmd.Run()
}
