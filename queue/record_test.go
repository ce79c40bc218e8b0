package queue

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// These tests are inside the package, since records and keys are no part of its face.

func TestKeysKeepOrderAndComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSeq(t, "a"), drawSeq(t, "b")
		ka, kb := appendKey(nil, a), appendKey(nil, b)
		if got, err := parseKey(ka); got != a || err != nil {
			t.Fatalf("parseKey(%x) = %d, %v; want %d", ka, got, err, a)
		}
		if (a < b) != (bytes.Compare(ka, kb) < 0) {
			t.Fatalf("%d < %d, but %x and %x", a, b, ka, kb)
		}
	})
	for seq, want := range map[uint64]int{0: 1, 127: 1, 128: 2, 1<<21 - 1: 3, 1 << 21: 4, 1<<28 - 1: 4, 1<<56 - 1: 8, 1 << 56: 9, math.MaxUint64: 9} {
		if got := len(appendKey(nil, seq)); got != want {
			t.Errorf("the key of %d has %d bytes, want %d", seq, got, want)
		}
	}
}

// drawSeq draws numbers of all lengths.
func drawSeq(t *rapid.T, name string) uint64 {
	return rapid.Uint64().Draw(t, name) >> rapid.IntRange(0, 63).Draw(t, name+" shift")
}

func drawMessage(t *rapid.T) Message {
	when := func(name string) time.Time {
		return time.UnixMilli(rapid.Int64Range(-1<<45, 1<<45).Draw(t, name)).UTC()
	}
	m := Message{
		Seq: drawSeq(t, "seq"), Lane: rapid.SampledFrom(Lanes()).Draw(t, "lane"), Topic: rapid.StringN(1, 40, 200).Draw(t, "topic"),
		QoS: rapid.ByteRange(0, 2).Draw(t, "qos"), Retain: rapid.Bool().Draw(t, "retain"),
		Payload: rapid.SliceOf(rapid.Byte()).Draw(t, "payload"), Source: rapid.StringN(0, 10, 30).Draw(t, "source"),
		Time: when("time"), Trust: Trust(rapid.ByteRange(0, 2).Draw(t, "trust")), Boot: [16]byte{rapid.Byte().Draw(t, "boot")},
		Mono: time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "mono")) * time.Millisecond,
	}
	if rapid.Bool().Draw(t, "expires") {
		m.Expires = when("expiry")
	}
	if rapid.Bool().Draw(t, "tried") {
		m.Attempts = rapid.Uint32().Draw(t, "attempts")
	}
	if rapid.Bool().Draw(t, "foreign") {
		m.ID = ID{[8]byte{1, 7: rapid.Byte().Draw(t, "epoch")}, drawSeq(t, "id")}
	}
	return m
}

func TestRecordsComeBackAndEveryFlippedBitIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawMessage(t)
		first := drawMessage(t) // whose time anchors the origin
		first.Source, first.Boot = want.Source, want.Boot
		var table originTable
		table.find(&first)
		id := table.find(&want)
		rec := appendRecord(nil, &want, id, table.at(id))
		got, err := decodeRecord(want.Seq, rec, table.at)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("decoded (-want +got):\n%s", diff)
		}
		bit := rapid.IntRange(0, 8*len(rec)-1).Draw(t, "bit")
		rec[bit/8] ^= 1 << (bit % 8)
		if got, err := decodeRecord(want.Seq, rec, table.at); err == nil {
			t.Fatalf("with bit %d flipped it decodes to %+v", bit, got)
		}
		rec[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeRecord(want.Seq+1, rec, table.at); !errors.Is(err, errRecordChecksum) {
			t.Fatalf("under another sequence: %v, want a checksum error", err)
		}
	})
}

// What the goals for wear and for the size of the file rest on.
func TestSizeOfAReading(t *testing.T) {
	m := Message{
		Seq: 1_000_000, Lane: Normal, Topic: "v1.fleet.dev-00042.telemetry.5", QoS: 1, Payload: make([]byte, 100), Source: "mqtt",
		Time: time.Now(), Boot: [16]byte{1}, Mono: 30 * time.Hour,
	}
	var table originTable
	first := m
	first.Mono, first.Time = 0, m.Time.Add(-30*time.Hour)
	id := table.find(&first)
	rec := appendRecord(nil, &m, id, table.at(id))
	if got, want := cost(appendKey(nil, m.Seq), rec), int64(163); got > want {
		t.Errorf("a reading of 100 bytes takes %d, want at most %d, so that 25 fit a page", got, want)
	}
}

// A record is parsed strictly: whatever decodes was written by this program, or by one of the same format.
func FuzzDecodeRecord(f *testing.F) {
	var table originTable
	for _, m := range []Message{
		{Seq: 1, Lane: Normal, Topic: "t", Payload: []byte("x"), Time: time.UnixMilli(1)},
		{Seq: 2, Lane: Alarm, Topic: "a/b", QoS: 2, Retain: true, Trust: TrustKnown, Time: time.UnixMilli(5), Expires: time.UnixMilli(7), Attempts: 3, ID: ID{[8]byte{1}, 9}},
	} {
		id := table.find(&m)
		f.Add(m.Seq, appendRecord(nil, &m, id, table.at(id)), true)
	}
	f.Add(uint64(3), []byte{recordVersion, 0x82, 0, 0, 0, 0, 0, 0, 0, 1, 't', 7, 1, 1, 1}, true)
	f.Fuzz(func(t *testing.T, seq uint64, rec []byte, whole bool) {
		if whole && len(rec) >= recordHeader { // behind the checksum
			sum := recordSum(seq, rec)
			rec = bytes.Clone(rec)
			rec[2], rec[3], rec[4], rec[5] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		}
		m, err := decodeRecord(seq, rec, table.at)
		if err != nil {
			if m.Seq != 0 || m.Payload != nil {
				t.Errorf("an error with a message: %+v, %v", m, err)
			}
			return
		}
		if m.Seq != seq || m.Lane < Alarm || m.Lane > Bulk || m.QoS > 2 || m.Trust > TrustKnown || len(m.Payload) > len(rec) {
			t.Errorf("decoded %+v", m)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	for _, seq := range []uint64{0, 1, 127, 128, 1 << 21, 1 << 56, math.MaxUint64} {
		f.Add(appendKey(nil, seq))
	}
	f.Fuzz(func(t *testing.T, k []byte) {
		if seq, err := parseKey(k); err == nil && !bytes.Equal(appendKey(nil, seq), k) {
			t.Errorf("parseKey(%x) = %d, whose key is %x", k, seq, appendKey(nil, seq))
		}
	})
}
