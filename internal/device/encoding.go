package device

import (
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
	if e.Dictionary, err = envelope.LoadDictionary(cfg.Encoding.DictionaryFile); err != nil {
		return e, &config.Unusable{Key: "encoding.dictionary_file", Err: err}
	}
	return e, nil
}
