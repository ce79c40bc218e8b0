package main

import (
	"fmt"
	"os"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/internal/uplink"
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
		on, err := uplink.WiresAtRest(w)
		switch {
		case err != nil:
			r.fail(checkRestart, err)
		case on == nil:
			r.ok(checkRestart, "the wires are there; STATUS is not wired")
		case *on:
			r.ok(checkRestart, "the wires are there; STATUS says that the module is on")
		default:
			r.ok(checkRestart, "the wires are there; STATUS says that the module is off")
		}
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
