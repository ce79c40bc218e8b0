package mqttconn

import (
	"bufio"
	"bytes"
	"io"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// FuzzReadFrame feeds the parser with anything: it must not panic, not allocate more than the limit, lose no byte, and what
// it lets through Paho must be able to read.
func FuzzReadFrame(f *testing.F) {
	for _, seed := range [][]byte{
		{0x20, 2, 0, 0},    // CONNACK
		{0x20, 2, 1, 0x87}, // with an unknown code
		{0x40, 2, 0, 1, 0x50, 2, 0, 2, 0x70, 2, 0, 2}, // PUBACK, PUBREC, PUBCOMP
		{0x62, 2, 0, 1},          // PUBREL
		{0x90, 5, 0, 1, 1, 1, 1}, // SUBACK with three codes
		{0xd0, 0},                // PINGRESP
		{0x32, 8, 0, 1, 'a', 0, 1, 'x', 'y', 'z'},                        // PUBLISH
		{0x30, 3, 0, 1, 'a'},                                             // PUBLISH without payload
		{0x30, 0x83, 0x80, 0, 0, 1, 'a'},                                 // length in more bytes than needed
		{0x30, 0xff, 0xff, 0xff, 0x7f},                                   // 256 MiB
		{0x30, 0x80, 0x80, 0x80, 0x80, 1},                                // length without end
		{0x30, 5, 0, 9, 'a', 'b', 'c'},                                   // topic over the end
		append([]byte{0x30, 70, 0, 1, 'a'}, make([]byte, 67)...),         // over the limit
		append([]byte{0x32, 70, 0, 1, 'a', 0, 7}, make([]byte, 65+4)...), // and with an id, and another packet after it
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 64
		r := bufio.NewReader(bytes.NewReader(data))
		var buf []byte
		taken := 0
		for {
			fr, skip, err := readFrame(r, limit, buf)
			if err == io.EOF && taken != len(data) {
				t.Fatalf("clean end after %d of %d bytes", taken, len(data))
			}
			if err != nil {
				return
			}
			buf = fr.bytes
			if len(fr.bytes) > limit || cap(buf) > 2*limit {
				t.Fatalf("a frame of %d bytes, capacity %d, over the limit of %d", len(fr.bytes), cap(buf), limit)
			}
			if !bytes.Equal(fr.bytes, data[taken:taken+len(fr.bytes)]) {
				t.Fatalf("frame at %d: got % x, want % x", taken, fr.bytes, data[taken:taken+len(fr.bytes)])
			}
			taken += len(fr.bytes)
			if fr.check() != nil {
				return
			}
			if skip > 0 { // the rest of a message over the limit
				if fr.kind() != typePublish || len(fr.bytes)+skip <= limit {
					t.Fatalf("%d bytes left out after % x", skip, fr.bytes)
				}
				n, err := r.Discard(skip)
				if taken += n; err != nil {
					return
				}
				continue
			}
			if _, err := packets.ReadPacket(bytes.NewReader(fr.bytes)); err != nil {
				t.Fatalf("Paho cannot read % x: %v", fr.bytes, err)
			}
		}
	})
}

// FuzzSplitFrame takes apart what a client writes.
func FuzzSplitFrame(f *testing.F) {
	f.Add([]byte{0x32, 8, 0, 1, 'a', 0, 1, 'x', 'y', 'z'})
	f.Add([]byte{0xc0, 0})
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		fr, err := splitFrame(data)
		if err != nil {
			return
		}
		again, _, err := readFrame(bufio.NewReader(bytes.NewReader(data)), len(data), nil)
		if checkFirst(data[0]) == nil && (err != nil || !bytes.Equal(again.body, fr.body)) {
			t.Fatalf("% x: split body % x, read body % x (%v)", data, fr.body, again.body, err)
		}
	})
}
