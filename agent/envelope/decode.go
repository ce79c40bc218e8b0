package envelope

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"
)

// Decoder reads messages.
type Decoder struct {
	dictionaries map[DictionaryID]*Dictionary
}

// NewDecoder makes a Decoder that knows the built-in dictionary and the given ones.
func NewDecoder(more ...*Dictionary) *Decoder {
	d := &Decoder{dictionaries: make(map[DictionaryID]*Dictionary)}
	for _, dictionary := range append(more, Builtin()) {
		d.dictionaries[dictionary.id] = dictionary
	}
	return d
}

// Is reports whether a payload begins like an envelope. Whether it is a whole one Decode tells.
func Is(payload []byte) bool { return len(payload) > 0 && payload[0] == magic }

// Decode reads one message. Payloads of an uncompressed one share the memory of b. The error wraps one of ErrForeign,
// ErrVersion, ErrDamaged and ErrDictionary.
func (d *Decoder) Decode(b []byte) (Message, error) {
	if !Is(b) {
		return Message{}, fmt.Errorf("%w: %s", ErrForeign, opening(b))
	}
	if len(b) < headerSize {
		return Message{}, fmt.Errorf("%w: only %d bytes", ErrDamaged, len(b))
	}
	if v := b[1] >> 4; v != Version {
		return Message{}, fmt.Errorf("%w of the format: its version is %d, this program reads %d", ErrVersion, v, Version)
	}
	if got, want := checksum(b), binary.BigEndian.Uint32(b[2:]); got != want {
		return Message{}, fmt.Errorf("%w: the checksum is %08x, the message says %08x: it was cut, filled up or changed on the way", ErrDamaged, got, want)
	}
	flags := b[1] & 0x0f
	if flags&^knownFlags != 0 {
		return Message{}, fmt.Errorf("%w of the format: it has the flags %04b, this program knows %04b", ErrVersion, flags, knownFlags)
	}
	m := Message{Batch: flags&flagBatch != 0}
	body := b[headerSize:]
	if flags&flagDeflate != 0 {
		var err error
		if body, err = d.inflate(body, &m); err != nil {
			return Message{}, err
		}
	} else if len(body) > MaxBody {
		return Message{}, tooLong()
	}
	if err := m.readBody(body); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m, nil
}

func tooLong() error { return fmt.Errorf("%w: it has more than %d bytes", ErrDamaged, MaxBody) }

// opening describes bytes that are no envelope.
func opening(b []byte) string {
	if len(b) == 0 {
		return "it is empty"
	}
	if head := b[:min(len(b), 24)]; utf8.Valid(head) {
		return fmt.Sprintf("it begins with %q; a plain payload?", head)
	}
	return fmt.Sprintf("it begins with byte %02x, not %02x", b[0], magic)
}

// inflate decompresses what follows the header.
func (d *Decoder) inflate(b []byte, m *Message) ([]byte, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("%w: it ends within the dictionary's id", ErrDamaged)
	}
	id := DictionaryID(binary.BigEndian.Uint32(b))
	dictionary := d.dictionaries[id]
	if dictionary == nil {
		return nil, fmt.Errorf("%w: the message was compressed with dictionary %v, which is not at hand", ErrDictionary, id)
	}
	m.Dictionary = &id
	// What the encoder left out, and an end, which a flushed stream doesn't have (RFC 1951, section 3.2.4).
	const end = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	stream := flate.NewReaderDict(io.MultiReader(bytes.NewReader(b[4:]), bytes.NewReader([]byte(end))), dictionary.bytes)
	body, err := io.ReadAll(io.LimitReader(stream, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(body) > MaxBody {
		return nil, tooLong()
	}
	return body, nil
}

func (m *Message) readBody(body []byte) error {
	s := scanner{rest: body}
	m.Device = string(s.take(s.length()))
	copy(m.Epoch[:], s.take(len(m.Epoch)))
	first := Reading{Seq: s.uvarint()}
	milli := s.varint()
	if !utf8.ValidString(m.Device) {
		s.fail("the device's name is not UTF-8")
	}
	if !m.Batch {
		head := s.byte()
		if head&^headQuality != 0 {
			s.fail("the reading's head has unknown bits")
		}
		m.Readings = []Reading{s.finish(first, head, milli)}
		m.Readings[0].Payload = s.rest
		return s.err
	}
	topics := s.topics()
	count := s.uvarint()
	if count == 0 || count > MaxReadings {
		s.fail("a batch of %d readings", count)
	}
	if s.err != nil {
		return s.err
	}
	m.Readings = make([]Reading, count)
	lengths := s.heads(m.Readings, topics, running{seq: first.Seq - 1, milli: milli})
	for i, n := range lengths {
		m.Readings[i].Payload = s.take(n)
	}
	if len(s.rest) > 0 {
		s.fail("%d bytes too many", len(s.rest))
	}
	return s.err
}

// scanner reads a body. After the first fault everything is zero.
type scanner struct {
	rest []byte
	err  error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
	s.rest = nil
}

func (s *scanner) uvarint() uint64 {
	v, n := binary.Uvarint(s.rest)
	if n <= 0 {
		s.fail("it ends within a number")
		return 0
	}
	s.rest = s.rest[n:]
	return v
}

func (s *scanner) varint() int64 {
	v, n := binary.Varint(s.rest)
	if n <= 0 {
		s.fail("it ends within a number")
		return 0
	}
	s.rest = s.rest[n:]
	return v
}

// length reads a number of bytes that are there.
func (s *scanner) length() int {
	v := s.uvarint()
	if v > uint64(len(s.rest)) {
		s.fail("a length of %d where %d bytes are left", v, len(s.rest))
		return 0
	}
	return int(v)
}

func (s *scanner) take(n int) []byte {
	if n > len(s.rest) {
		s.fail("it ends too early")
		return nil
	}
	b := s.rest[:n:n]
	s.rest = s.rest[n:]
	return b
}

func (s *scanner) byte() byte {
	if b := s.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (s *scanner) topics() []string {
	count := s.uvarint()
	if count == 0 || count > MaxReadings || count > uint64(len(s.rest)) {
		s.fail("%d topics", count)
		return nil
	}
	topics := make([]string, count)
	for i := range topics {
		topics[i] = string(s.take(s.length()))
		if !utf8.ValidString(topics[i]) {
			s.fail("topic %d is not UTF-8", i)
		}
	}
	return topics
}

// heads fills all of the readings but their payloads, whose lengths it returns.
func (s *scanner) heads(readings []Reading, topics []string, was running) []int {
	lengths := make([]int, len(readings))
	for i := range readings {
		head := s.byte()
		if head&^knownHead != 0 {
			s.fail("the head of reading %d has unknown bits", i+1)
		}
		if head&headTopic != 0 {
			if was.topic = s.uvarint(); was.topic >= uint64(len(topics)) {
				s.fail("reading %d has topic %d of %d", i+1, was.topic, len(topics))
				was.topic = 0
			}
		}
		skipped := uint64(0)
		if head&headSeq != 0 {
			skipped = s.uvarint()
		}
		if i == 0 && skipped > 0 || i > 0 && skipped >= math.MaxUint64-was.seq {
			s.fail("the sequence of reading %d is out of order", i+1)
		}
		if head&headTime != 0 {
			was.step = s.varint()
		}
		if head&headLength != 0 {
			was.length = s.length()
		}
		was.seq += skipped + 1
		was.milli += was.step
		readings[i] = s.finish(Reading{Topic: topics[was.topic], Seq: was.seq}, head, was.milli)
		if lengths[i] = was.length; s.err != nil {
			return nil
		}
	}
	return lengths
}

// finish sets time and quality.
func (s *scanner) finish(r Reading, head byte, milli int64) Reading {
	r.Quality = Quality(head & headQuality)
	if r.Quality > QualityKnown {
		s.fail("a time quality of %d", r.Quality)
	}
	if !datable(milli) {
		s.fail("the time %d ms since 1970 is in no year of four digits", milli)
		return r
	}
	r.Time = time.UnixMilli(milli).UTC()
	return r
}
