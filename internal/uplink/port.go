package uplink

import (
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

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

// OpenModem opens the module of a configuration while no agent has it. restarts says whether it may be restarted from outside.
// watch is told every change of state; nil: nobody is.
func OpenModem(cfg *config.Config, restarts bool, watch func(gsmnet.State)) (m *gsmnet.Modem, release func(), err error) {
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
