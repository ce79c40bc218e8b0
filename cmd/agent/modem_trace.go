package main

import (
	"errors"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
)

// traceBytes bounds each of the two files of a trace: hours of an idle link, minutes of a busy one.
const traceBytes = 8 << 20

// trace is a file that the serial dialogue is written to.
type trace struct {
	*gsmnet.Transcript
	file *gsmnet.TraceFile
}

// startTrace begins one.
func startTrace(path string, cfg *config.Config) (*trace, error) {
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
	return &trace{t, file}, nil
}

// stop closes the file, behind the device.
func (t *trace) stop(log zerolog.Logger) {
	if err := errors.Join(t.Err(), t.file.Close()); err != nil {
		log.Warn().Err(err).Msg("the trace is not complete")
	}
}
