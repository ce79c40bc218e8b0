package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// modemWithin bounds what a command asks of the module: a command waits for one under way, each a minute at most, and a restart
// takes half a minute.
const modemWithin = 4 * time.Minute

// modemPort returns what opens the port of a configuration, and what is to be closed at the end.
func modemPort(cfg *config.Config) (open func() (io.ReadWriteCloser, error), release func() error) {
	if cfg.Modem.Port == config.SimPort {
		sim := gsmsim.New(gsmsim.Config{})
		return func() (io.ReadWriteCloser, error) { return sim.Wire(), nil }, sim.Close
	}
	return func() (io.ReadWriteCloser, error) { return gsmnet.OpenPort(cfg.Modem.Port, cfg.Modem.Baud) }, func() error { return nil }
}

// modemConfig is how the module of a configuration is used.
func modemConfig(cfg *config.Config) gsmnet.Config {
	t := cfg.Modem.Timeouts
	return gsmnet.Config{
		HomeOnly: cfg.Modem.Roaming == config.RoamingRefuse, TimeServer: cfg.Modem.TimeServer, Spacing: cfg.Modem.Restart.Waits(),
		CommandTimeout: time.Duration(t.Command), HangTimeout: time.Duration(t.Hang), RegisterTimeout: time.Duration(t.Register),
		AttachTimeout: time.Duration(t.Attach), ActivateTimeout: time.Duration(t.Activate), OpenTimeout: time.Duration(t.Open),
		CloseTimeout: time.Duration(t.Close), DeactTimeout: time.Duration(t.Deactivate),
		APN: cfg.Modem.APN, User: cfg.Modem.User, Password: cfg.Modem.Password.Reveal(), PIN: cfg.Modem.PIN.Reveal(),
		Baud: cfg.Modem.Baud, StateFile: filepath.Join(cfg.DataDir, "modem.json"),
	}
}

// openModem opens the module of a configuration while no agent has it. restarts says whether it may be restarted from outside.
// watch is told every change of state; nil: nobody is.
func openModem(cfg *config.Config, restarts bool, watch func(gsmnet.State)) (m *gsmnet.Modem, release func(), err error) {
	open, free := modemPort(cfg)
	port, err := open()
	if err != nil {
		return nil, nil, errors.Join(err, free())
	}
	mc := modemConfig(cfg)
	mc.OnState = watch
	if way := restarter(cfg.Modem.Restart); restarts && way != nil {
		mc.Restart = way(port)
	}
	m, err = gsmnet.Open(port, mc)
	if err != nil {
		return nil, nil, errors.Join(err, port.Close(), free())
	}
	return m, func() {
		_ = m.Close() // the command has its answer
		_ = free()
	}, nil
}

// withModule does something to the module: through the running agent, or on the port itself when none runs.
func withModule(ctx context.Context, cfg *config.Config, restarts bool, beside func(context.Context, *control.Client) error,
	alone func(context.Context, control.Modem) error) error {
	ctx, cancel := context.WithTimeout(ctx, modemWithin)
	defer cancel()
	err := beside(ctx, control.NewClient(cfg.ControlSocket()))
	if !errors.Is(err, control.ErrNotRunning) {
		return modemError(err)
	}
	if cfg.Link != config.LinkModem {
		return &exitError{exitUsage, errors.New("this configuration has no module: its link is the machine's own network")}
	}
	m, release, err := openModem(cfg, restarts, nil)
	if err != nil {
		return &exitError{exitFailed, err}
	}
	defer release()
	if !restarts {
		if err := m.Wake(ctx); err != nil {
			return &exitError{exitFailed, err}
		}
	}
	return modemError(alone(ctx, module{cfg.Modem.Port, func() (*gsmnet.Modem, error) { return m, nil }}))
}

// modemError gives a failure of the module its exit code.
func modemError(err error) error {
	var ce *control.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &ce):
		return &exitError{exitFailed, err}
	case ce.Code == control.CodeInvalid:
		return &exitError{exitUsage, err}
	case ce.Temporary():
		return &exitError{exitTemporary, err}
	}
	return &exitError{exitFailed, err}
}
