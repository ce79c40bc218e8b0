package mqttconn

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Packet types (MQTT 3.1.1, section 2.2.1).
const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typePubrec     = 5
	typePubrel     = 6
	typePubcomp    = 7
	typeSubscribe  = 8
	typeSuback     = 9
	typeUnsuback   = 11
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14
)

// maxHeader is the longest fixed header: the type and four bytes of length (section 2.2).
const maxHeader = 5

// frame is one whole packet: the fixed header and what follows it.
type frame struct {
	bytes []byte
	body  []byte // the tail of bytes after the fixed header
}

func (f frame) kind() byte  { return f.bytes[0] >> 4 }
func (f frame) flags() byte { return f.bytes[0] & 0x0f }
func (f frame) qos() byte   { return f.bytes[0] >> 1 & 3 }

// id is the packet id of a packet that begins with it.
func (f frame) id() uint16 { return binary.BigEndian.Uint16(f.body) }

// publishID is the packet id of a checked PUBLISH, 0 at QoS 0.
func (f frame) publishID() uint16 {
	if f.qos() == 0 {
		return 0
	}
	topic := int(binary.BigEndian.Uint16(f.body))
	return binary.BigEndian.Uint16(f.body[2+topic:])
}

// readFrame reads one packet. Nothing larger than limit is ever allocated, whatever the length field says. buf is used
// again if it is large enough.
func readFrame(r *bufio.Reader, limit int, buf []byte) (frame, error) {
	buf = buf[:0]
	first, err := r.ReadByte()
	if err != nil {
		return frame{}, err
	}
	buf = append(buf, first)
	length := 0
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return frame{}, midFrame(err)
		}
		buf = append(buf, b)
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
		if len(buf) == maxHeader {
			return frame{}, malformed("a length field of more than four bytes")
		}
	}
	header := len(buf)
	if header+length > limit {
		return frame{}, malformed("a packet of type %d with %d bytes, over the limit of %d", first>>4, header+length, limit)
	}
	if cap(buf) < header+length {
		buf = append(make([]byte, 0, header+length), buf...)
	}
	buf = buf[:header+length]
	if _, err := io.ReadFull(r, buf[header:]); err != nil {
		return frame{}, midFrame(err)
	}
	return frame{bytes: buf, body: buf[header:]}, nil
}

// midFrame turns an end of the stream inside a packet into the error that it is.
func midFrame(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func malformed(format string, args ...any) error {
	return &Error{Op: "session", Cause: CauseProtocol, Err: fmt.Errorf("the broker sent "+format, args...)}
}

// splitFrame takes a packet that is already in memory apart. It is for what Paho writes: exactly one packet a Write.
func splitFrame(p []byte) (frame, error) {
	if len(p) < 2 {
		return frame{}, fmt.Errorf("a write of %d bytes is no packet", len(p))
	}
	length, at := 0, 1
	for shift := 0; ; shift += 7 {
		if at == len(p) || at == maxHeader {
			return frame{}, fmt.Errorf("a write of %d bytes has no whole header", len(p))
		}
		b := p[at]
		at++
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			break
		}
	}
	if at+length != len(p) {
		return frame{}, fmt.Errorf("a write of %d bytes holds a packet of %d", len(p), at+length)
	}
	return frame{bytes: p, body: p[at:]}, nil
}

// check verifies what the protocol fixes about a packet from a broker: its type, its flags and its length. What depends
// on the state of the session is the guard's.
func (f frame) check() error {
	bad := func() error {
		return malformed("a malformed packet of type %d (flags %d, %d bytes)", f.kind(), f.flags(), len(f.body))
	}
	n := len(f.body)
	if f.kind() == typePublish {
		if !f.publishFits() {
			return bad()
		}
		return nil
	}
	var flags byte
	var ok bool
	switch f.kind() {
	case typeConnack:
		ok = n == 2 && f.body[0] <= 1
	case typePuback, typePubrec, typePubcomp, typeUnsuback:
		ok = n == 2 && f.id() != 0
	case typePubrel:
		flags, ok = 2, n == 2 && f.id() != 0 // section 3.6.1
	case typeSuback:
		ok = n >= 3 && f.id() != 0
	case typePingresp:
		ok = n == 0
	default:
		return malformed("a packet of type %d, which only clients send", f.kind())
	}
	if !ok || f.flags() != flags {
		return bad()
	}
	return nil
}

// publishFits says whether topic and packet id lie within the packet and are not empty (section 3.3).
func (f frame) publishFits() bool {
	if f.qos() == 3 || len(f.body) < 2 {
		return false
	}
	topic := int(binary.BigEndian.Uint16(f.body))
	rest := len(f.body) - 2 - topic
	if topic == 0 || rest < 0 {
		return false
	}
	return f.qos() == 0 || rest >= 2 && f.publishID() != 0
}

// pubrel is the packet that releases an id at the broker (section 3.6).
func pubrel(id uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{typePubrel<<4 | 2, 2}, id)
}
