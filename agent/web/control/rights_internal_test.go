package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asStranger runs f as a user to whom nothing here belongs, on a thread that ends with it.
func asStranger(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	done := make(chan unix.Errno)
	go func() {
		runtime.LockOSThread() // and never let go: the thread can't become root again
		const stranger = 54321
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, stranger, stranger, stranger)
		if errno == 0 {
			f()
		}
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		t.Fatal(errno)
	}
}

func TestForbidden(t *testing.T) {
	base := t.TempDir()
	open, shut := filepath.Join(base, "open"), filepath.Join(base, "shut")
	for dir, mode := range map[string]os.FileMode{filepath.Dir(base): 0o755, base: 0o755, open: 0o755, shut: 0o700, filepath.Join(shut, "below"): 0o755} {
		if err := os.MkdirAll(dir, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(open, "control.sock")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ path, want string }{
		{socket, socket + " belongs to root, and this is #54321: run the command as root or that user (sudo -u root fieldpost …)"},
		{filepath.Join(shut, "control.sock"), "#54321 may not look into " + shut + " (of root, mode -rwx------), so whether an agent runs can't be told"},
		{filepath.Join(shut, "below", "control.sock"), "may not look into " + shut + " (of root"},
	} {
		var err error
		asStranger(t, func() { err = forbidden(test.path) })
		if !errors.Is(err, ErrUnreachable) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.path, err, test.want)
		}
	}
}
