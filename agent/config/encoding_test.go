package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
)

func TestEncoding(t *testing.T) {
	c := parse(t, minimal)
	if e := c.Encoding; e.Format != config.FormatPlain || c.BatchTopic() != "pump-07/batch" {
		t.Errorf("by default: got %+v to %s, want plain", e, c.BatchTopic())
	}
	c = parse(t, minimal+"encoding: {format: batch, topic: fleet/all, dictionary_file: /d, batch: {max_messages: 7, max_bytes: 1KiB, max_age: 0s}}\n")
	if e := c.Encoding; e.Compress != config.CompressDeflate || c.BatchTopic() != "fleet/all" || e.DictionaryFile != "/d" ||
		e.Batch.MaxMessages != 7 || e.Batch.MaxBytes != config.KiB || e.Batch.MaxAge != 0 {
		t.Errorf("got %+v to %s", e, c.BatchTopic())
	}
	c = parse(t, minimal, "FIELDPOST_ENCODING_FORMAT=envelope", "FIELDPOST_ENCODING_BATCH_MAX_AGE=1m")
	if e := c.Encoding; e.Format != config.FormatEnvelope || time.Duration(e.Batch.MaxAge) != time.Minute {
		t.Errorf("from variables: got %+v", e)
	}
	_, err := config.Parse("test.yaml", []byte(minimal+"encoding: {format: batch, compress: none, dictionary_file: /d}\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "test.yaml:4:") || !strings.Contains(err.Error(), "useless without encoding.compress: deflate") {
		t.Errorf("a dictionary for nothing: got %v", err)
	}
}
