package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxPath is the longest name that fits into sockaddr_un (108 bytes on Linux, one of them the final zero).
const maxPath = 107

// listen opens the socket at path for this user alone. It removes what a dead agent left there and refuses to take the
// place of a living one.
func listen(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("control: the socket's path %s has %d bytes, the system allows %d: choose a shorter data_dir or set control.socket",
			path, len(path), maxPath)
	}
	if err := clearStale(ctx, path); err != nil {
		return nil, err
	}
	cfg := net.ListenConfig{Control: private}
	l, err := cfg.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control: the socket %s can't be opened: %w: check that the agent may write to %s", path, err, filepath.Dir(path))
	}
	// Where private had no effect this closes the door; elsewhere it changes nothing.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control: the socket %s can't be kept private: %w", path, err), l.Close())
	}
	return l, nil
}

// private gives a socket its mode before it gets its name, so that there is no moment at which others may connect. Linux
// takes it over to the file; systems that refuse to are served by the chmod that follows.
func private(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// clearStale removes a socket that nobody listens on.
func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("control: the socket's place can't be looked at: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("control: %s is not a socket and is left alone: move it away or set control.socket to another path", path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second) // connecting to a local socket never takes long
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("%w on %s: stop it first, or give this one a data_dir of its own", ErrRunning, path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("control: %s may belong to a running agent, it can't be asked: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("control: the socket of a dead agent is in the way: %w: remove it", err)
	}
	return nil
}
