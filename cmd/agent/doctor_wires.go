package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/fieldpost/fieldpost/agent/config"
)

// restartCheck looks whether the module could be restarted from outside: the wires are taken for a moment, at rest, and STATUS is read;
// a program is looked at and not run.
func restartCheck(r *report, cfg *config.Config) {
	w := cfg.Modem.Restart
	switch {
	case len(w.Command) > 0:
		if err := runnable(w.Command[0]); err != nil {
			r.fail(checkRestart, fmt.Errorf("modem.restart.command: %w", err))
			return
		}
		r.ok(checkRestart, "%s can be run", w.Command[0])
	case w.PowerKey == "" && w.EmergOff == "":
		r.skip("by AT+CFUN=1,1 alone: a module that hangs stays so until somebody switches it (modem.restart)", checkRestart)
	default:
		text, err := wiresAtRest(w)
		if err != nil {
			r.fail(checkRestart, err)
			return
		}
		r.ok(checkRestart, "%s", text)
	}
}

func runnable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is no program that can be run", path)
	}
	return nil
}

// wiresAtRest opens the wires as a restart does, and closes them again. The lines of the serial port belong to it.
func wiresAtRest(r config.Restart) (text string, err error) {
	w := &wires{}
	defer func() { err = errors.Join(err, w.close()) }()
	w.output("power_key", r.PowerKey)
	w.output("emerg_off", r.EmergOff)
	status := w.input("status", r.Status)
	if w.err != nil {
		return "", w.err
	}
	if status == nil {
		return "the wires are there; STATUS is not wired", nil
	}
	high, err := status()
	if err != nil {
		return "", fmt.Errorf("modem.restart.status: %w", err)
	}
	if high {
		return "the wires are there; STATUS says that the module is on", nil
	}
	return "the wires are there; STATUS says that the module is off", nil
}
