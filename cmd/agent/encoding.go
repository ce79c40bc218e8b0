package main

import (
	"fmt"
	"os"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/envelope"
)

// encoding is the form in which readings travel. Answers to commands go plain: whoever asked waits for them under their topic.
func encoding(cfg *config.Config) (agent.Encoding, error) {
	e := agent.Encoding{
		Format: agent.Format(cfg.Encoding.Format), Topic: cfg.BatchTopic(), Bare: []string{"downlink"},
		MaxMessages: cfg.Encoding.Batch.MaxMessages, MaxBytes: int(cfg.Encoding.Batch.MaxBytes), MaxAge: time.Duration(cfg.Encoding.Batch.MaxAge),
	}
	if cfg.Encoding.Format == config.FormatPlain || cfg.Encoding.Compress == config.CompressNone {
		return e, nil
	}
	if e.Dictionary = envelope.Builtin(); cfg.Encoding.DictionaryFile == "" {
		return e, nil
	}
	var err error
	if e.Dictionary, err = readDictionary(cfg.Encoding.DictionaryFile); err != nil {
		return e, &exitError{exitConfig, fmt.Errorf("encoding.dictionary_file: %w", err)}
	}
	return e, nil
}

// readDictionary reads a dictionary as a whole: both ends need the same bytes.
func readDictionary(path string) (*envelope.Dictionary, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > envelope.MaxDictionary {
		return nil, fmt.Errorf("%s has %d bytes; a dictionary has at most %d: keep the part that is most like what you send", path, info.Size(), envelope.MaxDictionary)
	}
	samples, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := envelope.NewDictionary(samples)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}
