package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
	"time"
)

// A record is the stored form of a message, below its sequence as the key:
//
//	byte     format version (1)
//	byte     flags: bits 0-1 lane, 2-3 QoS, 4 retain, 5-6 trust, 7 extras follow the topic
//	4 bytes  CRC-32C, little-endian, over the sequence as 8 big-endian bytes and all of the value but these 4
//	uvarint  origin: source, boot id, and an anchor in wall and monotonic time (origin.go)
//	varint   monotonic time after the anchor's, in ms
//	varint   wall time after (the anchor's + the former), in ms
//	uvarint  length of the topic, and the topic
//	extras   byte: bit 0 expiry, 1 attempts, 2 id; then those of them that are there:
//	         varint ms from the wall time to the expiry; uvarint attempts; 8 bytes epoch and uvarint sequence
//	rest     payload
//
// A reading of 100 bytes under a topic of 30 takes 143 bytes: 25 of them fill a page of 4096 bytes.
const (
	recordVersion = 1
	recordHeader  = 6 // version, flags, CRC

	flagRetain = 1 << 4
	flagExtras = 1 << 7

	extraExpires  = 1 << 0
	extraAttempts = 1 << 1
	extraID       = 1 << 2
)

// castagnoli has hardware support on amd64, arm64 and most arm boards.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errRecordChecksum = errors.New("queue: record fails its checksum")
	errRecordLayout   = errors.New("queue: record breaks its layout")
	errRecordVersion  = errors.New("queue: record of a newer format")
)

// appendRecord appends m's record to b. The message's fields are valid and stamped.
func appendRecord(b []byte, m *Message, originID uint64, o *origin) []byte {
	start := len(b)
	flags := byte(m.Lane) | m.QoS<<2 | byte(m.Trust)<<5
	if m.Retain {
		flags |= flagRetain
	}
	extras := byte(0)
	if !m.Expires.IsZero() {
		extras |= extraExpires
	}
	if m.Attempts > 0 {
		extras |= extraAttempts
	}
	if m.ID != (ID{}) {
		extras |= extraID
	}
	if extras != 0 {
		flags |= flagExtras
	}
	b = append(b, recordVersion, flags, 0, 0, 0, 0)
	b = binary.AppendUvarint(b, originID)
	mono := m.Mono.Milliseconds() - o.mono
	b = binary.AppendVarint(b, mono)
	b = binary.AppendVarint(b, m.Time.UnixMilli()-o.wall-mono)
	b = binary.AppendUvarint(b, uint64(len(m.Topic)))
	b = append(b, m.Topic...)
	if extras != 0 {
		b = appendExtras(b, m, extras)
	}
	b = append(b, m.Payload...)
	rec := b[start:]
	binary.LittleEndian.PutUint32(rec[2:], recordSum(m.Seq, rec))
	return b
}

func appendExtras(b []byte, m *Message, extras byte) []byte {
	b = append(b, extras)
	if extras&extraExpires != 0 {
		b = binary.AppendVarint(b, m.Expires.UnixMilli()-m.Time.UnixMilli())
	}
	if extras&extraAttempts != 0 {
		b = binary.AppendUvarint(b, uint64(m.Attempts))
	}
	if extras&extraID != 0 {
		b = append(b, m.ID.Epoch[:]...)
		b = binary.AppendUvarint(b, m.ID.Seq)
	}
	return b
}

// recordSum computes the checksum. The sequence is added byte by byte: as an argument of crc32.Update it would be
// allocated for each record.
func recordSum(seq uint64, rec []byte) uint32 {
	sum := ^uint32(0)
	for shift := 56; shift >= 0; shift -= 8 {
		sum = castagnoli[byte(sum)^byte(seq>>shift)] ^ sum>>8
	}
	sum = crc32.Update(^sum, castagnoli, rec[:2])
	return crc32.Update(sum, castagnoli, rec[recordHeader:])
}

// recordQoS is the QoS that a record tells, unchecked; 0 if there is none.
func recordQoS(rec []byte) byte {
	if len(rec) < recordHeader {
		return 0
	}
	return rec[1] >> 2 & 3
}

// checkRecord reports whether the record is whole: a record of a newer format, of the wrong place or with a flipped bit
// is not.
func checkRecord(seq uint64, rec []byte) error {
	switch {
	case len(rec) < recordHeader:
		return errRecordLayout
	case rec[0] > recordVersion:
		return errRecordVersion
	case rec[0] != recordVersion:
		return errRecordLayout
	case binary.LittleEndian.Uint32(rec[2:]) != recordSum(seq, rec):
		return errRecordChecksum
	}
	return nil
}

// decodeRecord returns the message of a record, which is copied. Without its origin (the table was damaged) a message
// has no source and no time.
func decodeRecord(seq uint64, rec []byte, origins func(uint64) *origin) (Message, error) {
	if err := checkRecord(seq, rec); err != nil {
		return Message{}, err
	}
	flags := rec[1]
	m := Message{
		Seq: seq, Lane: Lane(flags & 3), QoS: flags >> 2 & 3, Retain: flags&flagRetain != 0, Trust: Trust(flags >> 5 & 3),
	}
	c := scanner{b: rec[recordHeader:]}
	o := origins(c.uvarint())
	mono, wall := c.varint(), c.varint()
	m.Topic = string(c.bytes(c.uvarint()))
	var ttl int64
	if flags&flagExtras != 0 {
		ttl = c.extras(&m)
	}
	if c.bad || m.Lane == 0 || m.QoS > 2 || m.Trust > TrustKnown {
		return Message{}, errRecordLayout
	}
	m.Payload = append([]byte{}, c.b...)
	if o == nil {
		m.Trust, m.Expires = TrustUnknown, time.Time{}
		return m, nil
	}
	m.Source, m.Boot = o.source, o.boot
	m.Mono = time.Duration(o.mono+mono) * time.Millisecond
	m.Time = time.UnixMilli(o.wall + mono + wall).UTC()
	if c.expires {
		m.Expires = time.UnixMilli(o.wall + mono + wall + ttl).UTC()
	}
	return m, nil
}

// scanner reads the fields of a record; after a field that isn't there, bad is set and all that follow are zero.
type scanner struct {
	b       []byte
	bad     bool
	expires bool // the record has an expiry
}

func (c *scanner) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *scanner) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *scanner) bytes(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

// extras reads the optional fields and returns the span to the expiry in ms.
func (c *scanner) extras(m *Message) (ttl int64) {
	mask := c.bytes(1)
	if c.bad || mask[0] == 0 || mask[0] >= extraID<<1 {
		c.bad = true
		return 0
	}
	if mask[0]&extraExpires != 0 {
		c.expires = true
		ttl = c.varint()
	}
	if mask[0]&extraAttempts != 0 {
		n := c.uvarint()
		if n > math.MaxUint32 {
			c.bad = true
		}
		m.Attempts = uint32(n)
	}
	if mask[0]&extraID != 0 {
		copy(m.ID.Epoch[:], c.bytes(8))
		m.ID.Seq = c.uvarint()
	}
	return ttl
}

// A key is a sequence in as few bytes as order allows: as many leading ones in the first byte as bytes follow it, a
// zero, and the number, most significant bit first. Up to 2 million take 3 bytes, up to 268 million 4.
func appendKey(b []byte, seq uint64) []byte {
	n := max(0, (bits.Len64(seq)-1)/7) // bytes that follow
	if n >= 8 {
		b = append(b, 0xff)
		return binary.BigEndian.AppendUint64(b, seq)
	}
	var full [8]byte
	binary.BigEndian.PutUint64(full[:], seq)
	at := len(b)
	b = append(b, full[7-n:]...)
	b[at] |= ^byte(0xff >> n)
	return b
}

// parseKey is the inverse of appendKey; it takes no key that appendKey would not have written.
func parseKey(k []byte) (uint64, error) {
	if len(k) == 0 {
		return 0, fmt.Errorf("%w: empty key", errRecordLayout)
	}
	n := bits.LeadingZeros8(^k[0])
	if len(k) != n+1 {
		return 0, fmt.Errorf("%w: key of %d bytes", errRecordLayout, len(k))
	}
	var seq uint64
	if n == 8 {
		seq = binary.BigEndian.Uint64(k[1:])
	} else {
		seq = uint64(k[0] & (0x7f >> n))
		for _, c := range k[1:] {
			seq = seq<<8 | uint64(c)
		}
	}
	if max(0, (bits.Len64(seq)-1)/7) != n && !(n == 8 && bits.Len64(seq) > 56) {
		return 0, fmt.Errorf("%w: key not in its shortest form", errRecordLayout)
	}
	return seq, nil
}
