package envelope_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// seal puts a right header before a body that may be anything.
func seal(flags byte, body []byte) []byte {
	b := append([]byte{0xFB, 1<<4 | flags, 0, 0, 0, 0}, body...)
	binary.BigEndian.PutUint32(b[2:], crc32.Update(crc32.ChecksumIEEE(b[:2]), crc32.IEEETable, body))
	return b
}

// packed is a compressed body of n zeros, which is a thousandth as long, behind the id of the built-in dictionary.
func packed(t testing.TB, n int) []byte {
	t.Helper()
	out := bytes.NewBuffer(binary.BigEndian.AppendUint32(nil, uint32(envelope.Builtin().ID())))
	w, err := flate.NewWriter(out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for ; n > 0; n -= len(zeros) {
		if _, err := w.Write(zeros[:min(n, len(zeros))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileMessagesAreRefused(t *testing.T) {
	const head = "\x00" + "12345678" + "\x01\x00" // no device, an epoch, sequence 1, time 0
	huge := "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
	for name, tc := range map[string]struct {
		message []byte
		want    error
		text    string
	}{
		"nothing":                {nil, envelope.ErrForeign, "empty"},
		"a plain payload":        {[]byte(`{"value":4.2}`), envelope.ErrForeign, "plain payload"},
		"other binary":           {[]byte{0x80, 1, 2}, envelope.ErrForeign, "byte 80"},
		"only the first byte":    {[]byte{0xFB}, envelope.ErrDamaged, "only 1 bytes"},
		"a later version":        {[]byte{0xFB, 2 << 4, 0, 0, 0, 0}, envelope.ErrVersion, "version is 2"},
		"a later flag":           {seal(4, []byte(head)), envelope.ErrVersion, "flags 0100"},
		"no body":                {seal(0, nil), envelope.ErrDamaged, "number"},
		"a long device":          {seal(0, []byte("\x7f")), envelope.ErrDamaged, "length of 127"},
		"a number without end":   {seal(0, []byte("\x00"+"12345678"+huge+huge)), envelope.ErrDamaged, ""},
		"a head with later bits": {seal(0, []byte(head+"\x80")), envelope.ErrDamaged, "unknown bits"},
		"a quality of 3":         {seal(0, []byte(head+"\x03")), envelope.ErrDamaged, "quality"},
		"a date without year":    {seal(0, []byte("\x00"+"12345678"+"\x01"+huge+"\x00")), envelope.ErrDamaged, "year"},
		"no topics":              {seal(2, []byte(head+"\x00\x01\x00")), envelope.ErrDamaged, "0 topics"},
		"many topics":            {seal(2, []byte(head+"\xff\x1f")), envelope.ErrDamaged, "topics"},
		"no readings":            {seal(2, []byte(head+"\x01\x01a\x00")), envelope.ErrDamaged, "0 readings"},
		"readings without heads": {seal(2, []byte(head+"\x01\x01a\xff\x1f")), envelope.ErrDamaged, "too early"},
		"2^64 readings":          {seal(2, []byte(head+"\x01\x01a"+huge)), envelope.ErrDamaged, "batch of"},
		"a topic beyond":         {seal(2, []byte(head+"\x01\x01a\x01\x04\x01")), envelope.ErrDamaged, "topic 1 of 1"},
		"a gap before the first": {seal(2, []byte(head+"\x01\x01a\x01\x08\x01")), envelope.ErrDamaged, "out of order"},
		"a sequence beyond":      {seal(2, []byte(head+"\x01\x01a\x02\x00\x08"+huge)), envelope.ErrDamaged, "out of order"},
		"a long payload":         {seal(2, []byte(head+"\x01\x01a\x01\x20\x05abc")), envelope.ErrDamaged, "length of 5"},
		"bytes too many":         {seal(2, []byte(head+"\x01\x01a\x01\x00abc")), envelope.ErrDamaged, "too many"},
		"a topic not in UTF-8":   {seal(2, []byte(head+"\x01\x01\xff\x01\x00")), envelope.ErrDamaged, "UTF-8"},
		"a device not in UTF-8":  {seal(0, []byte("\x01\xff"+"12345678"+"\x01\x00\x00")), envelope.ErrDamaged, "UTF-8"},
		"half a dictionary id":   {seal(1, []byte{1, 2, 3}), envelope.ErrDamaged, "dictionary"},
		"no such dictionary":     {seal(1, []byte{1, 2, 3, 4}), envelope.ErrDictionary, "01020304"},
		"no compressed bytes":    {seal(1, packed(t, 1)[:4]), envelope.ErrDamaged, ""},
		"broken compression":     {seal(1, append(packed(t, 1)[:4], 0xff, 0xff)), envelope.ErrDamaged, ""},
		"long without a reason":  {seal(0, make([]byte, envelope.MaxBody+1)), envelope.ErrDamaged, "more than"},
		"a bomb":                 {seal(1, packed(t, 8<<20)), envelope.ErrDamaged, "more than"},
	} {
		got, err := envelope.NewDecoder().Decode(tc.message)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: got %+v, %v; want an error with %q that wraps %v", name, got, err, tc.text, tc.want)
		}
	}
}

// A bomb of 8 KiB that would unfold to 8 MiB takes no more memory than the bound allows.
func TestABombTakesLittleMemory(t *testing.T) {
	bomb := seal(1, packed(t, 8<<20))
	decoder := envelope.NewDecoder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := decoder.Decode(bomb); !errors.Is(err, envelope.ErrDamaged) {
		t.Fatalf("got %v, want ErrDamaged", err)
	}
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(6*envelope.MaxBody); got > most {
		t.Errorf("a message of %d bytes made the decoder allocate %d, want at most %d", len(bomb), got, most)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		for _, d := range []*envelope.Dictionary{nil, envelope.Builtin()} {
			b, err := envelope.NewEncoder(d).Encode(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, true)
			f.Add(b, false)
		}
	}
	vectors, _ := filepath.Glob("testdata/*.bin")
	for _, name := range vectors {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b, false)
		}
	}
	f.Add(seal(1, packed(f, 4<<20)), true)
	decoder := envelope.NewDecoder()
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed && len(b) >= 6 { // a right checksum lets the fuzzer see what is behind it
			b = seal(b[1]&3, b[6:])
		}
		m, err := decoder.Decode(b)
		if err != nil {
			for _, known := range []error{envelope.ErrForeign, envelope.ErrVersion, envelope.ErrDamaged, envelope.ErrDictionary} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error that nobody can tell apart: %v", err)
		}
		again, err := envelope.NewEncoder(nil).Encode(m)
		if err != nil && !errors.Is(err, envelope.ErrTooLarge) {
			t.Fatalf("what was read can't be written: %v\n%+v", err, m)
		}
		if err != nil {
			return
		}
		second, err := decoder.Decode(again)
		if err != nil || len(second.Readings) != len(m.Readings) || second.Device != m.Device || second.Epoch != m.Epoch {
			t.Fatalf("what was written again reads as %+v, %v; want %+v", second, err, m)
		}
		for i, r := range m.Readings {
			s := second.Readings[i]
			if s.Topic != r.Topic || s.Seq != r.Seq || !s.Time.Equal(r.Time) || s.Quality != r.Quality || !bytes.Equal(s.Payload, r.Payload) {
				t.Fatalf("reading %d: %+v, want %+v", i, s, r)
			}
		}
	})
}
