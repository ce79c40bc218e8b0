package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/internal/field"
	"github.com/fieldpost/fieldpost/queue"
)

// fieldDevice is the real agent as the simulated field knows it.
type fieldDevice struct{ *device }

func (d fieldDevice) Accept(ctx context.Context, msgs ...queue.Message) (uint64, error) {
	return d.agent.Accept(ctx, msgs...)
}
func (d fieldDevice) Status() agent.Status          { return d.agent.Status() }
func (d fieldDevice) Queue() *queue.Queue           { return d.queue }
func (d fieldDevice) Run(ctx context.Context) error { return d.agent.Run(ctx) }

// startInField wires an agent for the simulated field.
func startInField(s field.Setup) (field.Device, error) {
	cfg := config.Default()
	cfg.Device, cfg.DataDir = "pump-07", s.Dir
	cfg.Modem.APN = "CMNET"
	cfg.Broker.URL = config.List{"mqtt://broker.example:1883"}
	if s.MaxBytes > 0 {
		cfg.Queue.MaxBytes = config.Size(s.MaxBytes)
	}
	if s.PIN != "" {
		cfg.Modem.PIN = config.Secret(s.PIN)
	}
	if s.CA != nil {
		cfg.Broker.URL = config.List{"mqtts://broker.example:8883"}
		cfg.Broker.CAFile = filepath.Join(s.Dir, "..", "ca.pem")
		if err := os.WriteFile(cfg.Broker.CAFile, s.CA, 0o600); err != nil {
			return nil, err
		}
	}
	d, err := wiring{bare: true, openPort: s.Open, restart: s.Restart}.wire(cfg, zerolog.New(s.Log).Level(zerolog.InfoLevel))
	if err != nil {
		return nil, err
	}
	return fieldDevice{d}, nil
}

func TestField(t *testing.T) {
	replay, err := field.ParseReplay(os.Getenv("FIELDPOST_FIELD"), 24)
	if err != nil {
		t.Skip(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log io.Writer
		if os.Getenv("FIELDPOST_FIELD_LOG") != "" {
			log = zerolog.NewTestWriter(t)
		}
		for i, f := range replay.Plan() {
			t.Log(i, f)
		}
		report, err := field.Run(field.Options{Replay: replay, Start: startInField, Settle: synctest.Wait,
			Dir: filepath.Join(t.TempDir()), Log: log})
		if err != nil {
			t.Error(err)
		}
		t.Logf("%+v", report)
		for _, v := range report.Violations {
			t.Error(v)
		}
	})
}
