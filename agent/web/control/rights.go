package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// forbiddenError is ErrUnreachable for want of rights, so fs.ErrPermission too: trying again doesn't help.
type forbiddenError struct{ text string }

func (e *forbiddenError) Error() string { return ErrUnreachable.Error() + ": " + e.text }

func (e *forbiddenError) Is(target error) bool {
	return target == ErrUnreachable || target == fs.ErrPermission
}

// forbidden says what keeps this user from the socket at path: the socket itself, or a folder above it, in which nobody else can tell
// whether there is one.
func forbidden(path string) error {
	me := userName(strconv.Itoa(os.Getuid()))
	info, err := os.Stat(path)
	if err == nil {
		return &forbiddenError{fmt.Sprintf("%s belongs to %s, and this is %s: run the command as root or that user (sudo -u %s fieldpost …)",
			path, ownerOf(info), me, ownerOf(info))}
	}
	at := filepath.Dir(path)
	for info, err = os.Stat(at); errors.Is(err, fs.ErrPermission); info, err = os.Stat(at) {
		at = filepath.Dir(at) // ends at the root, which everybody may look at
	}
	if err != nil {
		return fmt.Errorf("%w: %s can't be looked at: %w", ErrUnreachable, path, err)
	}
	return &forbiddenError{fmt.Sprintf("%s may not look into %s (of %s, mode %v), so whether an agent runs can't be told: run the command as root or that user (sudo -u %s fieldpost …)",
		me, at, ownerOf(info), info.Mode().Perm(), ownerOf(info))}
}

func ownerOf(info fs.FileInfo) string {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return userName(strconv.FormatUint(uint64(st.Uid), 10))
	}
	return "another user"
}

// userName is the name of a user, or #ID, which sudo takes too.
func userName(id string) string {
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "#" + id
}
