package uplink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
)

// restarter returns what restarts a module from outside, given its port; nil if nothing is configured.
func restarter(r config.Restart) func(io.ReadWriteCloser) func(context.Context) error {
	switch {
	case len(r.Command) > 0:
		return func(io.ReadWriteCloser) func(context.Context) error {
			return func(ctx context.Context) error { return restartByCommand(ctx, r.Command) }
		}
	case r.PowerKey == "" && r.EmergOff == "":
		return nil
	}
	return func(port io.ReadWriteCloser) func(context.Context) error {
		return func(ctx context.Context) error { return restartByPins(ctx, r, port) }
	}
}

// restartWithin is how long a program may take to restart the module: 12 s of log-off, and as long again to spare.
const restartWithin = 30 * time.Second

func restartByCommand(ctx context.Context, words []string) error {
	ctx, cancel := context.WithTimeout(ctx, restartWithin)
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} // not ours, which may hold secrets
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = time.Second // a child of its own may keep the output open
	if err := cmd.Run(); err != nil {
		text := bytes.TrimSpace(output.Bytes())
		return fmt.Errorf("modem.restart.command %s: %w: %s", words[0], err, text[max(0, len(text)-200):])
	}
	return nil
}

// restartByPins takes the lines for the time of the restart only, so that other programs can look at them in between.
func restartByPins(ctx context.Context, r config.Restart, port io.ReadWriteCloser) (err error) {
	w := &wires{port: port}
	defer func() { err = errors.Join(err, w.close()) }()
	pins := gsmnet.Pins{PowerKey: w.output("power_key", r.PowerKey), EmergOff: w.output("emerg_off", r.EmergOff), Status: w.input("status", r.Status)}
	if w.err != nil {
		return w.err
	}
	return pins.Restart(ctx)
}

// WiresAtRest opens the wires as a restart does, and closes them again. on is what STATUS says of the module; nil: it isn't wired.
// The lines of the serial port belong to it.
func WiresAtRest(r config.Restart) (on *bool, err error) {
	w := &wires{}
	defer func() { err = errors.Join(err, w.close()) }()
	w.output("power_key", r.PowerKey)
	w.output("emerg_off", r.EmergOff)
	status := w.input("status", r.Status)
	if w.err != nil || status == nil {
		return nil, w.err
	}
	high, err := status()
	if err != nil {
		return nil, fmt.Errorf("modem.restart.status: %w", err)
	}
	return &high, nil
}

// wires opens the wires of a restart. The first failure stays in err.
type wires struct {
	port io.ReadWriteCloser
	open []io.Closer
	err  error
}

func (w *wires) output(key, text string) func(bool) error {
	wire, ok := w.parse(key, text)
	switch {
	case !ok:
		return nil
	case wire.Line == config.LineDTR: // opening the port has raised it: at rest is raised
		return func(low bool) error { return gsmnet.SetDTR(w.port, !low) }
	case wire.Line == config.LineRTS:
		return func(low bool) error { return gsmnet.SetRTS(w.port, !low) }
	}
	line, err := gsmnet.OpenGPIOOutput(wire.Chip, wire.Offset, wire.Inverted)
	if !w.opened(key, line, err) {
		return nil
	}
	return line.Set
}

func (w *wires) input(key, text string) func() (bool, error) {
	wire, ok := w.parse(key, text)
	if !ok {
		return nil
	}
	line, err := gsmnet.OpenGPIOInput(wire.Chip, wire.Offset, wire.Inverted)
	if !w.opened(key, line, err) {
		return nil
	}
	return line.Value
}

func (w *wires) parse(key, text string) (config.Wire, bool) {
	if text == "" || w.err != nil {
		return config.Wire{}, false
	}
	wire, err := config.ParseWire(text)
	if err != nil {
		w.err = fmt.Errorf("modem.restart.%s: %w", key, err)
	}
	return wire, err == nil
}

func (w *wires) opened(key string, line *gsmnet.GPIO, err error) bool {
	if err != nil {
		w.err = fmt.Errorf("modem.restart.%s: %w", key, err)
		return false
	}
	w.open = append(w.open, line)
	return true
}

func (w *wires) close() error {
	var errs []error
	for _, c := range w.open {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
