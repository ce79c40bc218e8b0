package envelope

import (
	"errors"
	"fmt"
	"time"
)

// Version is the version of the format that is written. It is the only one that is read so far.
const Version = 1

// Bounds of a message.
const (
	// MaxBody is how many bytes a message has at most before it is compressed: twice the largest payload that a source may
	// hand over. A receiver needs so much memory for a message, whatever it claims.
	MaxBody = 1 << 20
	// MaxReadings is how many readings a message holds at most: an empty one takes a byte on the wire and a hundred in
	// memory.
	MaxReadings = 4096
	// MaxDictionary is how far back DEFLATE can refer (RFC 1951, section 2).
	MaxDictionary = 32 << 10
)

// Errors of Encode and Decode.
var (
	// ErrForeign is wrapped for bytes that are no envelope at all, such as a plain payload.
	ErrForeign = errors.New("envelope: not a message of this format")
	// ErrVersion is wrapped for an envelope that a later version of the format has written.
	ErrVersion = errors.New("envelope: written by a later version")
	// ErrDamaged is wrapped for an envelope whose bytes changed on the way, or that never was a right one.
	ErrDamaged = errors.New("envelope: damaged")
	// ErrDictionary is wrapped for a message that was compressed with a dictionary that the Decoder doesn't have.
	ErrDictionary = errors.New("envelope: unknown dictionary")
	// ErrTooLarge is wrapped by Encode for readings that are over the bounds of a message.
	ErrTooLarge = errors.New("envelope: too large")
)

// Quality is how far a reading's time is to be believed.
type Quality uint8

const (
	QualityUnknown Quality = 0 // nothing is known: possibly a clock that started in 1970
	QualityGuessed Quality = 1 // plausible, but not set by a time source since the boot
	QualityKnown   Quality = 2 // set by a time source
)

// String returns unknown, guessed or known.
func (q Quality) String() string {
	switch q {
	case QualityUnknown:
		return "unknown"
	case QualityGuessed:
		return "guessed"
	case QualityKnown:
		return "known"
	}
	return fmt.Sprintf("quality(%d)", uint8(q))
}

// Reading is one reading of a Message.
type Reading struct {
	Topic   string    // in a batch; else the message was published to it, and it is empty here
	Seq     uint64    // with the Epoch of the Message the reading's id: where it comes again, it is a repetition
	Time    time.Time // to the millisecond
	Quality Quality   // of Time
	Payload []byte
}

// Message is what one envelope holds.
type Message struct {
	Device string
	Epoch  [8]byte // of the ids of the readings
	// Batch says that the readings have topics of their own, and that there may be any number but none. Otherwise there is
	// one, and its topic is that of the MQTT message.
	Batch bool
	// Readings in the order of rising Seq.
	Readings []Reading
	// Dictionary is the id of the dictionary with which the message was compressed; nil: it wasn't. Decode sets it, Encode
	// doesn't look at it.
	Dictionary *DictionaryID
}

// check tells why m can't be encoded.
func (m *Message) check() error {
	switch {
	case len(m.Readings) == 0:
		return errors.New("envelope: a message without readings")
	case !m.Batch && len(m.Readings) > 1:
		return fmt.Errorf("envelope: %d readings need a batch", len(m.Readings))
	case len(m.Readings) > MaxReadings:
		return fmt.Errorf("%w: %d readings, at most %d", ErrTooLarge, len(m.Readings), MaxReadings)
	}
	for i, r := range m.Readings {
		switch {
		case r.Quality > QualityKnown:
			return fmt.Errorf("envelope: reading %d: quality %d is none of unknown, guessed, known", i+1, r.Quality)
		case i > 0 && r.Seq <= m.Readings[i-1].Seq:
			return fmt.Errorf("envelope: reading %d: sequence %d doesn't rise", i+1, r.Seq)
		case !datable(r.Time.UnixMilli()):
			return fmt.Errorf("envelope: reading %d: the year of %v has no four digits", i+1, r.Time)
		}
	}
	return nil
}

// The years that can be written with four digits, as RFC 3339 asks for, in milliseconds since 1970.
var (
	firstMilli = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	lastMilli  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli()
)

func datable(milli int64) bool { return milli >= firstMilli && milli <= lastMilli }
