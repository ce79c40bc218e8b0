package queue

import (
	"errors"
	"fmt"
)

var (
	// ErrInvalid: the message can't be stored because a field breaks a rule; the text says which.
	ErrInvalid = errors.New("queue: invalid message")
	// ErrFull: the queue is at Config.MaxBytes and nothing may be dropped for the message. Try again later.
	ErrFull = errors.New("queue: full")
	// ErrDiskFull: the disk has no room for the message; releasing goes on. Try again later.
	ErrDiskFull = errors.New("queue: no space left on the disk; free some, the queue goes on by itself")
	// ErrReadOnly: the file system has become read-only. Reading goes on, and releases are remembered until it is writable.
	ErrReadOnly = errors.New("queue: the file system is read-only, as after an error of the disk; check it and make it writable again")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("queue: closed")
	// ErrNotFound: no message has this sequence (any more).
	ErrNotFound = errors.New("queue: no such message")
	// ErrFailed: the storage can't be relied on any more and nothing was acknowledged; the process has to start anew.
	ErrFailed = errors.New("queue: storage failed")
	// ErrDamaged: the file's content contradicts itself or a checksum.
	ErrDamaged = errors.New("queue: damaged file")
)

// TooLargeError reports a message above Config.MaxMessage.
type TooLargeError struct{ Size, Max int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("queue: topic and payload have %d bytes; at most %d are taken", e.Size, e.Max)
}

// LockedError reports that another process uses the queue.
type LockedError struct {
	Path string
	PID  int // of the process that holds it; 0 if it is not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("queue: %s is in use by another process; stop it first", e.Path)
	}
	return fmt.Sprintf("queue: %s is in use by process %d; stop it first, or ask it over its socket", e.Path, e.PID)
}

// FormatError reports a file that a newer version of the program has written. The file is left as it is.
type FormatError struct {
	Path      string
	Got, Want uint64
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("queue: %s has format %d and this program reads up to %d; use the newer version that wrote it",
		e.Path, e.Got, e.Want)
}
