package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// ListenFunc opens a listener.
type ListenFunc func(ctx context.Context, address string) (net.Listener, error)

func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", address)
}

// listen opens the listener of a source. The key names the setting that the
// address comes from.
func listen(ctx context.Context, open ListenFunc, address, key string) (net.Listener, error) {
	if open == nil {
		open = listenTCP
	}
	ln, err := open(ctx, address)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("source: %s: %s is in use by another program: stop that, or choose another port: %w", key, address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("source: %s: not allowed to listen on %s: choose a port above 1023: %w", key, address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("source: %s: %s is not an address of this machine: %w", key, address, err)
	}
	return nil, fmt.Errorf("source: %s: can't listen on %s: %w", key, address, err)
}

// A steadyListener survives errors of Accept, such as too many open files:
// they pass, and a door that never opens again is no answer to them.
type steadyListener struct {
	net.Listener
	log zerolog.Logger
}

// Accept returns an error only if the listener is closed.
func (l steadyListener) Accept() (net.Conn, error) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	for pause := shortest; ; pause = min(2*pause, longest) {
		c, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return c, err
		}
		l.log.Warn().Err(err).Msg("can't take a connection, trying again")
		time.Sleep(pause)
	}
}

// quiet returns a logger for what others can cause as often as they like.
func quiet(log zerolog.Logger, source string) zerolog.Logger {
	return log.With().Str("source", source).Logger().
		Sample(&zerolog.BurstSampler{Burst: 10, Period: time.Minute})
}
