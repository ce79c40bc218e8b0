package uplink

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestRestarter(t *testing.T) {
	if restarter(config.Restart{}) != nil {
		t.Error("a way to restart where none is configured")
	}
	done := filepath.Join(t.TempDir(), "done")
	way := restarter(config.Restart{Command: config.List{"/usr/bin/touch", done}})(nil)
	if err := way(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(done); err != nil {
		t.Error("the program has not run")
	}
	for want, r := range map[string]config.Restart{
		"exit status":  {Command: config.List{"/bin/sh", "-c", "echo the relay sticks; exit 3"}},
		"relay sticks": {Command: config.List{"/bin/sh", "-c", "echo the relay sticks; exit 3"}},
		"emerg_off":    {EmergOff: "gpiochip-none/3"},
		"power_key":    {PowerKey: "gpiochip-none/3", Status: "gpiochip-none/4"},
	} {
		if err := restarter(r)(nil)(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := way(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: got %v", err)
	}
}

// TestRestartByCommand: a module that is off, and a program that switches it on.
func TestRestartByCommand(t *testing.T) {
	t.Parallel()
	m := gsmsim.New(gsmsim.Config{Off: true})
	defer m.Close()
	port := filepath.Join(t.TempDir(), "modem")
	if _, err := m.PTY(port); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Device, cfg.DataDir, cfg.Modem.Port, cfg.Modem.APN = "pump-07", t.TempDir(), port, "internet.example"
	pressed := filepath.Join(cfg.DataDir, "pressed")
	cfg.Modem.Restart.Command = config.List{"/usr/bin/touch", pressed}
	go func() { // the relay that the program works
		for range 600 {
			if _, err := os.Stat(pressed); err == nil {
				m.SetPowerKey(true)
				time.Sleep(time.Second)
				m.SetPowerKey(false)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	modem, release, err := OpenModem(cfg, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := modem.Up(t.Context()); err != nil {
		t.Error(err)
	}
}
