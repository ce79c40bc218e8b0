package envelope

import (
	_ "embed"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
)

// builtin is the dictionary of typical telemetry. Its bytes are part of the format: a change makes it another dictionary,
// which receivers that have only the old one can't read.
//
//go:embed dictionary.txt
var builtin []byte

// Dictionary is what compressed messages may refer to without carrying it. Both ends need the same one.
type Dictionary struct {
	id    DictionaryID
	bytes []byte
}

// DictionaryID tells dictionaries apart. It travels with each compressed message.
type DictionaryID uint32

// String returns eight hexadecimal digits.
func (id DictionaryID) String() string {
	return hex.EncodeToString([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
}

// Builtin returns the dictionary that every version of the program knows.
func Builtin() *Dictionary { return &Dictionary{id: idOf(builtin), bytes: builtin} }

// NewDictionary makes a dictionary of sample readings: what is likely to come belongs at the end. The bytes are kept.
func NewDictionary(samples []byte) (*Dictionary, error) {
	if len(samples) == 0 {
		return nil, fmt.Errorf("envelope: an empty dictionary helps nobody")
	}
	if len(samples) > MaxDictionary {
		return nil, fmt.Errorf("envelope: the dictionary has %d bytes; DEFLATE can refer to %d", len(samples), MaxDictionary)
	}
	return &Dictionary{id: idOf(samples), bytes: samples}, nil
}

// LoadDictionary reads a dictionary as a whole: both ends need the same bytes.
func LoadDictionary(path string) (*Dictionary, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxDictionary {
		return nil, fmt.Errorf("%s has %d bytes; a dictionary has at most %d: keep the part that is most like what you send", path, info.Size(), MaxDictionary)
	}
	samples, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := NewDictionary(samples)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// ID returns the CRC-32 of the dictionary, which is its name in messages.
func (d *Dictionary) ID() DictionaryID { return d.id }

func idOf(b []byte) DictionaryID { return DictionaryID(crc32.ChecksumIEEE(b)) }
