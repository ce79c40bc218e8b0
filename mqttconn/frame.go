package mqttconn

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Packet types (MQTT 3.1.1, section 2.2.1).
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
)

// maxHeader is the longest fixed header: the type and four bytes of length (section 2.2).
const maxHeader = 5

// frame is one whole packet: the fixed header and what follows it.
type frame struct {
	bytes []byte
	body  []byte // the tail of bytes after the fixed header
}

func (f frame) kind() byte { return f.bytes[0] >> 4 }
func (f frame) qos() byte  { return f.bytes[0] >> 1 & 3 }

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
// again if it is large enough. Of a PUBLISH over the limit it returns the beginning alone and how many bytes follow.
func readFrame(r *bufio.Reader, limit int, buf []byte) (f frame, skip int, err error) {
	buf, length, err := readHeader(r, buf[:0])
	if err != nil {
		return frame{}, 0, err
	}
	header, take := len(buf), length
	if header+length > limit {
		if buf[0]>>4 != typePublish || length > maxSkip {
			return frame{}, 0, oversize(buf[0]>>4, header+length, limit)
		}
		if take, err = publishHead(r, buf[0], length); err != nil {
			return frame{}, 0, err
		}
		if header+take > limit {
			return frame{}, 0, oversize(typePublish, header+length, limit)
		}
		skip = length - take
	}
	if cap(buf) < header+take {
		buf = append(make([]byte, 0, header+take), buf...)
	}
	buf = buf[:header+take]
	if _, err := io.ReadFull(r, buf[header:]); err != nil {
		return frame{}, 0, midFrame(err)
	}
	return frame{bytes: buf, body: buf[header:]}, skip, nil
}

// maxSkip is the longest message that is read past: at the 3 KB/s of GPRS a minute and a half. What is longer ends the
// session, for the connection could do nothing else for so long.
const maxSkip = 256 << 10

// readHeader appends the fixed header to buf (section 2.2).
func readHeader(r *bufio.Reader, buf []byte) (header []byte, length int, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, 0, err
	}
	if err := checkFirst(first); err != nil {
		return nil, 0, err
	}
	buf = append(buf, first)
	for shift := 0; ; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return nil, 0, midFrame(err)
		}
		buf = append(buf, b)
		length |= int(b&0x7f) << shift
		if b&0x80 == 0 {
			return buf, length, nil
		}
		if len(buf) == maxHeader {
			return nil, 0, malformed("a length field of more than four bytes")
		}
	}
}

// publishHead is the length of topic and packet id of a PUBLISH (section 3.3.2), of which r stands behind the fixed header.
func publishHead(r *bufio.Reader, first byte, length int) (int, error) {
	size, err := r.Peek(2)
	if err != nil {
		return 0, midFrame(err)
	}
	head := 2 + int(binary.BigEndian.Uint16(size))
	if first>>1&3 > 0 {
		head += 2
	}
	if head > length {
		return 0, malformed("a PUBLISH whose topic is longer than the packet")
	}
	return head, nil
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

// oversize is the error for a packet that can't even be read past. A broker that keeps the session sends a message again on
// the next connection, so whoever dials should discard the session first; see [Config.Clean].
func oversize(kind byte, size, limit int) error {
	cause := CauseProtocol
	if kind == typePublish {
		cause = CauseOversize
	}
	return &Error{Op: "session", Cause: cause,
		Err: fmt.Errorf("the broker sent a packet of type %d with %d bytes, over the limit of %d", kind, size, limit)}
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

// checkFirst verifies the type and the flags of a packet from a broker (sections 2.2.1 and 2.2.2). It comes before anything
// is believed of the length, so that a server of another kind is noticed at its first byte.
func checkFirst(first byte) error {
	var flags byte
	switch kind := first >> 4; kind {
	case typePublish:
		return nil
	case typePubrel:
		flags = 2
	case typeConnack, typePuback, typePubrec, typePubcomp, typeSuback, typeUnsuback, typePingresp:
	default:
		return malformed("a packet of type %d, which is none of a broker's", kind)
	}
	if first&0x0f != flags {
		return malformed("a packet of type %d with the flags %d", first>>4, first&0x0f)
	}
	return nil
}

// check verifies what the protocol fixes about the rest of a packet from a broker. What depends on the state of the session
// is the guard's.
func (f frame) check() error {
	n, ok := len(f.body), false
	switch f.kind() {
	case typePublish:
		ok = f.publishFits()
	case typeConnack:
		ok = n == 2 && f.body[0] <= 1
	case typePuback, typePubrec, typePubcomp, typePubrel, typeUnsuback:
		ok = n == 2 && f.id() != 0
	case typeSuback:
		ok = n >= 3 && f.id() != 0
	case typePingresp:
		ok = n == 0
	}
	if !ok {
		return malformed("a malformed packet of type %d with %d bytes", f.kind(), len(f.bytes))
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

// acknowledgement is a PUBACK or PUBREC for a message of the broker.
func acknowledgement(kind byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{kind << 4, 2}, id)
}
