package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// disk is a file system of its own on a loop device over memory: nobody else writes there, so the kernel's counters of the
// device are those of the store.
type disk struct {
	base, dir, device string
}

// newDisk makes one; it takes root, losetup and mkfs.ext4.
func newDisk() (d *disk, err error) {
	d = &disk{}
	if d.base, err = os.MkdirTemp("", "bench"); err != nil {
		return nil, err
	}
	d.dir = filepath.Join(d.base, "disk")
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := syscall.Mount("tmpfs", d.base, "tmpfs", 0, "mode=0700,size=1200m"); err != nil {
		return nil, fmt.Errorf("mounting memory: %w", err)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return nil, err
	}
	image := filepath.Join(d.base, "image")
	for _, args := range [][]string{{"truncate", "-s", "1G", image}, {"mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image}} {
		if _, err := output(args...); err != nil {
			return nil, err
		}
	}
	device, err := output("losetup", "--find", "--show", image)
	if err != nil {
		return nil, err
	}
	mountErr := syscall.Mount(device, d.dir, "ext4", 0, "")
	if _, err := output("losetup", "--detach", device); err != nil { // it goes once nobody has it mounted any more
		return nil, err
	}
	d.device = filepath.Base(device)
	return d, mountErr
}

func output(args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}

// written returns the bytes and flushes that the device has seen (Documentation/admin-guide/iostats.rst: field 10 counts
// sectors of 512 bytes written, field 19 flushes).
func (d *disk) written() (sectors, flushes uint64, err error) {
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(stats)) {
		if f := strings.Fields(line); len(f) >= 19 && f[2] == d.device {
			_, err := fmt.Sscan(f[9]+" "+f[18], &sectors, &flushes)
			return sectors * 512, flushes, err
		}
	}
	return 0, 0, fmt.Errorf("/proc/diskstats doesn't count the flushes of %s", d.device)
}

func (d *disk) close() error {
	if d.device != "" {
		if err := syscall.Unmount(d.dir, 0); err != nil {
			return err
		}
	}
	if err := syscall.Unmount(d.base, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return os.Remove(d.base)
}
