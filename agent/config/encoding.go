package config

import (
	"time"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// Encoding is the form in which readings travel.
type Encoding struct {
	Format         string `yaml:"format"`          // FormatPlain, FormatEnvelope or FormatBatch
	Topic          string `yaml:"topic"`           // of batches; "": DEVICE/batch
	Compress       string `yaml:"compress"`        // CompressNone or CompressDeflate; of no meaning with FormatPlain
	DictionaryFile string `yaml:"dictionary_file"` // "": the built-in dictionary
	Batch          Batch  `yaml:"batch"`
}

// Batch says when a batch is sent.
type Batch struct {
	MaxMessages int      `yaml:"max_messages"`
	MaxBytes    Size     `yaml:"max_bytes"` // of topics and payloads, before compression
	MaxAge      Duration `yaml:"max_age"`   // how long a reading waits for others
}

// Forms in which readings can travel.
const (
	FormatPlain    = "plain"
	FormatEnvelope = "envelope"
	FormatBatch    = "batch"
)

// Ways to compress them.
const (
	CompressNone    = "none"
	CompressDeflate = "deflate"
)

// Bounds of a batch.
const (
	minBatchBytes = 256       // less than a few readings needs no batch
	maxBatchBytes = 256 * KiB // a minute and a half of GPRS; a receiver holds it in memory
	maxBatchAge   = 24 * time.Hour
)

func defaultEncoding() Encoding {
	return Encoding{
		Format: FormatPlain, Compress: CompressDeflate,
		// 50 readings of some 80 bytes. With deflate they leave as one segment of TCP, without as three.
		Batch: Batch{MaxMessages: 50, MaxBytes: 4 * KiB, MaxAge: Duration(30 * time.Second)},
	}
}

// BatchTopic returns the topic of batches.
func (c *Config) BatchTopic() string {
	if c.Encoding.Topic != "" {
		return c.Encoding.Topic
	}
	return c.Device + "/batch"
}

func (c *Config) checkEncoding(k *checker) {
	e := c.Encoding
	k.oneOf("encoding.format", e.Format, FormatPlain, FormatEnvelope, FormatBatch)
	k.topic("encoding.topic", e.Topic)
	k.oneOf("encoding.compress", e.Compress, CompressNone, CompressDeflate)
	switch {
	case e.DictionaryFile != "" && e.Format == FormatPlain:
		k.fail("encoding.dictionary_file", "set encoding.format to envelope or batch", "is useless with plain payloads, which are never compressed")
	case e.DictionaryFile != "" && e.Compress == CompressNone:
		k.fail("encoding.dictionary_file", "", "is useless without encoding.compress: deflate")
	}
	between(k, "encoding.batch.max_messages", e.Batch.MaxMessages, 2, envelope.MaxReadings)
	between(k, "encoding.batch.max_bytes", e.Batch.MaxBytes, minBatchBytes, maxBatchBytes)
	between(k, "encoding.batch.max_age", e.Batch.MaxAge, 0, Duration(maxBatchAge))
}
