package source_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// raw is a client that writes packets byte by byte, for what a proper client
// never does.
type raw struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dialRaw(t *testing.T, address string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &raw{t, c, bufio.NewReader(c)}
}

// str is a string or byte sequence with its length before it.
func str(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// packet puts a fixed header before the body.
func packet(first byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

const (
	cleanSession = 0x02
	withUser     = 0xc0 // name and password
	withWill     = 0x04
)

func connectPacket(version, flags byte, keepalive uint16, payload ...string) []byte {
	parts := [][]byte{str("MQTT"), {version, flags}, binary.BigEndian.AppendUint16(nil, keepalive)}
	if version == 5 {
		parts = append(parts, []byte{0}) // no properties
	}
	for _, p := range payload {
		parts = append(parts, str(p))
	}
	return packet(0x10, parts...)
}

func publishPacket(qos, dup byte, id uint16, topic, payload string) []byte {
	if qos == 0 {
		return packet(0x30, str(topic), []byte(payload))
	}
	return packet(0x30|dup<<3|qos<<1, str(topic), binary.BigEndian.AppendUint16(nil, id), []byte(payload))
}

func (r *raw) send(packets ...[]byte) {
	r.t.Helper()
	var all []byte
	for _, p := range packets {
		all = append(all, p...)
	}
	if _, err := r.Write(all); err != nil {
		r.t.Fatal(err)
	}
}

// want reads the next packet and compares it.
func (r *raw) want(want ...byte) {
	r.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r.in, got); err != nil {
		r.t.Fatalf("got % x and %v, want % x", got[:n], err, want)
	}
	if string(got) != string(want) {
		r.t.Fatalf("got % x, want % x", got, want)
	}
}

// wantClosed fails if anything comes before the end of the connection.
func (r *raw) wantClosed() {
	r.t.Helper()
	got, err := io.ReadAll(r.in)
	if len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("got % x and %v, want the connection closed", got, err)
	}
}

// wantSilence fails if a byte comes within a moment.
func (r *raw) wantSilence() {
	r.t.Helper()
	r.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := r.in.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("got %x and %v, want nothing", b, err)
	}
	r.SetReadDeadline(time.Now().Add(patience))
}

func (r *raw) connect(id string) *raw {
	r.t.Helper()
	r.send(connectPacket(4, cleanSession, 60, id))
	r.want(0x20, 2, 0, 0)
	return r
}

func (r *raw) ping() {
	r.t.Helper()
	r.send([]byte{0xc0, 0})
	r.want(0xd0, 0)
}
