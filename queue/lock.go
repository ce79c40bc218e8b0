package queue

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is how long Open waits for another process: long enough for one that is just stopping.
const lockWait = 2 * time.Second

// maxStarts is after how many starts that ended inside Open the file is set aside without asking it again.
const maxStarts = 3

// fileLock keeps other processes away from a queue, and remembers how the last one left it. bbolt's own lock lies on the
// queue's file, which may be replaced; this one lies on a file that never is.
type fileLock struct {
	f      *os.File
	clean  bool   // the last user closed the queue
	list   string // then: listSum of the file
	starts int    // starts in a row that did not get through Open
}

// States of a lock file, in its second line.
const (
	stateOpening = "opening"
	stateRunning = "running"
	stateClean   = "clean"
)

// lockFile takes the lock, or fails with a LockedError after lockWait.
func lockFile(path string) (*fileLock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("queue: lock file: %w", err)
	}
	for deadline := time.Now().Add(lockWait - 100*time.Millisecond); ; {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || !time.Now().Before(deadline) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	pid, state, starts, list := readLock(f)
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &LockedError{Path: path, PID: pid}
		}
		return nil, fmt.Errorf("queue: lock %s: %w; the queue needs a local file system", name, err)
	}
	l := &fileLock{f: f, clean: state == stateClean, list: list}
	if state == stateOpening {
		l.starts = starts
	}
	return l, nil
}

func readLock(f *os.File) (pid int, state string, starts int, list string) {
	b := make([]byte, 256)
	n, _ := f.ReadAt(b, 0)
	lines := strings.Split(string(b[:n]), "\n")
	fmt.Sscanf(lines[0], "pid %d", &pid)
	if len(lines) > 1 {
		fmt.Sscanf(lines[1], "%s %d %s", &state, &starts, &list)
	}
	return pid, state, starts, list
}

// write notes the state, durably: after a power cut it must not be the one before.
func (l *fileLock) write(state string) error {
	text := fmt.Sprintf("pid %d\n%s %d", os.Getpid(), state, l.starts)
	if state == stateClean {
		text += " " + l.list
	}
	text += "\n"
	// Padding overwrites what a longer text left, without a moment in which the file is empty.
	text += strings.Repeat(" ", max(0, 63-len(text))) + "\n"
	if _, err := l.f.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("queue: lock file: %w", err)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("queue: lock file: %w", err)
	}
	return nil
}

// release gives the lock up. The file stays: removing it would let two processes lock two files of the same name.
func (l *fileLock) release() error {
	if l.f == nil {
		return nil // of shareLock
	}
	// A child between fork and exec holds a copy of the descriptor, and with it the lock unless that is given up by name: flock(2).
	err := unix.Flock(int(l.f.Fd()), unix.LOCK_UN)
	return errors.Join(err, l.f.Close())
}
