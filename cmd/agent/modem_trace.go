package main

import (
	"errors"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
)

// traceBytes bounds each of the two files of a trace: hours of an idle link, minutes of a busy one.
const traceBytes = 8 << 20

// startTrace writes the serial dialogue to a file until the device is closed.
func (d *device) startTrace(path string, cfg *config.Config, log zerolog.Logger) (*gsmnet.Transcript, error) {
	if path == "" {
		return nil, nil
	}
	if cfg.Link != config.LinkModem {
		return nil, &exitError{exitUsage, errors.New("--trace: there is no serial line: the link is the machine's own network")}
	}
	file, err := gsmnet.OpenTraceFile(path, traceBytes)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	// What goes over a plain connection goes over the serial line.
	t := gsmnet.NewTranscript(file, cfg.Broker.Password.Reveal())
	t.Note("fieldpost " + version + " begins")
	d.closers = append(d.closers, func() error {
		if err := t.Err(); err != nil {
			log.Warn().Err(err).Msg("the trace is not complete")
		}
		return file.Close()
	})
	return t, nil
}
