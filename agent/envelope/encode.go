package envelope

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The layout of a message, see docs/message-format.md.
const (
	magic      = 0xFB // no text in UTF-8 begins with it, so a plain payload is seldom mistaken
	headerSize = 6    // magic, version and flags, checksum

	flagDeflate = 1 << 0
	flagBatch   = 1 << 1
	knownFlags  = flagDeflate | flagBatch
)

// The head of a reading: its quality in the lower two bits, and what differs from the reading before.
const (
	headQuality = 0x03
	headTopic   = 1 << 2 // the number of its topic follows
	headSeq     = 1 << 3 // how many sequences were left out follows
	headTime    = 1 << 4 // the time since the reading before follows, else it is the same as there
	headLength  = 1 << 5 // the length of its payload follows, else it is the same as there
	knownHead   = headQuality | headTopic | headSeq | headTime | headLength
)

// syncMark ends what a flushed compressor has written. It is the same each time and does not travel (RFC 7692, section
// 7.2.1, does so too).
var syncMark = []byte{0, 0, 0xff, 0xff}

// Encoder makes messages.
type Encoder struct {
	dictionary *Dictionary // nil: nothing is compressed
	deflate    *flate.Writer
	body       []byte
	packed     bytes.Buffer
}

// NewEncoder makes an Encoder that compresses with the dictionary; nil: it doesn't compress. With one it holds on to about
// a megabyte.
func NewEncoder(d *Dictionary) *Encoder {
	e := &Encoder{dictionary: d}
	if d != nil {
		// The best level: the air is dear, and a message is a few kilobytes.
		w, err := flate.NewWriterDict(nil, flate.BestCompression, d.bytes)
		if err != nil {
			panic(err) // the level is a constant
		}
		e.deflate = w
	}
	return e
}

// Encode returns the bytes of the message, in a slice of their own. It leaves a message uncompressed that compression
// would make longer. The error wraps ErrTooLarge for a message over the bounds.
func (e *Encoder) Encode(m Message) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	e.body = appendBody(e.body[:0], m)
	if len(e.body) > MaxBody {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(e.body), MaxBody)
	}
	flags := byte(0)
	if m.Batch {
		flags |= flagBatch
	}
	var id []byte
	body := e.body
	if packed, ok := e.compress(); ok {
		id = binary.BigEndian.AppendUint32(nil, uint32(e.dictionary.id))
		body, flags = packed, flags|flagDeflate
	}
	out := make([]byte, 0, headerSize+len(id)+len(body))
	out = append(out, magic, Version<<4|flags, 0, 0, 0, 0)
	out = append(out, id...)
	out = append(out, body...)
	binary.BigEndian.PutUint32(out[2:], checksum(out))
	return out, nil
}

// checksum covers everything but itself.
func checksum(message []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(message[:2]), crc32.IEEETable, message[headerSize:])
}

// compress returns the body compressed, if that is shorter with the dictionary's id.
func (e *Encoder) compress() ([]byte, bool) {
	if e.dictionary == nil {
		return nil, false
	}
	e.packed.Reset()
	e.deflate.Reset(&e.packed)
	if _, err := e.deflate.Write(e.body); err != nil {
		return nil, false
	}
	if err := e.deflate.Flush(); err != nil {
		return nil, false
	}
	packed := bytes.TrimSuffix(e.packed.Bytes(), syncMark)
	return packed, len(packed)+4 < len(e.body)
}

func appendBody(b []byte, m Message) []byte {
	first := m.Readings[0]
	b = appendText(b, m.Device)
	b = append(b, m.Epoch[:]...)
	b = binary.AppendUvarint(b, first.Seq)
	b = binary.AppendVarint(b, first.Time.UnixMilli())
	if !m.Batch {
		b = append(b, byte(first.Quality))
		return append(b, first.Payload...)
	}
	topics, number := topicsOf(m.Readings)
	b = binary.AppendUvarint(b, uint64(len(topics)))
	for _, t := range topics {
		b = appendText(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Readings)))
	b = appendHeads(b, m.Readings, number)
	for _, r := range m.Readings {
		b = append(b, r.Payload...)
	}
	return b
}

// topicsOf lists the topics in the order in which they first come.
func topicsOf(readings []Reading) (topics []string, number map[string]uint64) {
	number = make(map[string]uint64)
	for _, r := range readings {
		if _, ok := number[r.Topic]; !ok {
			number[r.Topic] = uint64(len(topics))
			topics = append(topics, r.Topic)
		}
	}
	return topics, number
}

func appendHeads(b []byte, readings []Reading, number map[string]uint64) []byte {
	was := running{seq: readings[0].Seq - 1, milli: readings[0].Time.UnixMilli()}
	for _, r := range readings {
		topic, milli := number[r.Topic], r.Time.UnixMilli()
		at := len(b)
		b = append(b, byte(r.Quality))
		if topic != was.topic {
			b[at] |= headTopic
			b = binary.AppendUvarint(b, topic)
		}
		if skipped := r.Seq - was.seq - 1; skipped != 0 {
			b[at] |= headSeq
			b = binary.AppendUvarint(b, skipped)
		}
		if step := milli - was.milli; step != was.step {
			b[at] |= headTime
			b = binary.AppendVarint(b, step)
			was.step = step
		}
		if len(r.Payload) != was.length {
			b[at] |= headLength
			b = binary.AppendUvarint(b, uint64(len(r.Payload)))
		}
		was.topic, was.seq, was.milli, was.length = topic, r.Seq, milli, len(r.Payload)
	}
	return b
}

// running is what the head of a reading leaves out if it goes on as before.
type running struct {
	topic  uint64
	seq    uint64
	milli  int64
	step   int64
	length int
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
