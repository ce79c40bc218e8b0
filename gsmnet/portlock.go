package gsmnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockPort takes the flock of the device file. The system's own exclusive mode is not enough: it lets root in, and it is set
// only after the settings of whoever holds the port were changed.
func lockPort(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, explainOpen(path, 0, err)
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		f.Close()
		return nil, explainOpen(path, 0, syscall.ENOTTY)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, explainOpen(path, 0, err)
	}
	return f, nil
}

// portHolder finds the process that holds a port: by its lock, or by its open files as far as we may see them. 0: not found.
func portHolder(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	if pid := lockHolder(uint64(st.Dev), st.Ino); pid > 0 {
		return pid
	}
	return fileHolder(uint64(st.Rdev))
}

// lockHolder reads /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 00:06:123 0 EOF".
func lockHolder(dev, inode uint64) int {
	b, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	major, minor := dev>>8&0xfff, dev&0xff|dev>>12&0xfff00
	file := fmt.Sprintf("%02x:%02x:%d", major, minor, inode)
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == file {
			if pid, err := strconv.Atoi(f[4]); err == nil {
				return pid
			}
		}
	}
	return 0
}

// fileHolder looks through the open files of other processes for the device.
func fileHolder(rdev uint64) int {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		if err != nil || pid == os.Getpid() {
			continue
		}
		if target, err := os.Readlink(fd); err != nil || !strings.HasPrefix(target, "/dev/") {
			continue
		}
		info, err := os.Stat(fd)
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode()&os.ModeCharDevice != 0 && uint64(st.Rdev) == rdev {
			return pid
		}
	}
	return 0
}

func processName(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
