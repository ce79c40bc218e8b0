package downlink

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBook(t *testing.T) {
	var full book
	for i := range remembered + 5 {
		full = full.with(fmt.Sprint(i))
	}
	if full.knows("4") || !full.knows("5") || len(full.ids) != remembered {
		t.Errorf("got %d ids, the oldest not forgotten or others lost", len(full.ids))
	}
	full.pending = &entry{name: string(bytes.Repeat([]byte("n"), maxName)), payload: bytes.Repeat([]byte("p"), MaxPayload), begun: true}
	if n := len(full.encode()); n > 4096 {
		t.Errorf("a full book has %d bytes, more than a cursor", n)
	}
	for name, b := range map[string]book{
		"empty": {}, "one": book{}.with("1"), "full": full, "pending": {pending: &entry{name: "status", payload: []byte("{}")}},
	} {
		got, err := decodeBook(b.encode())
		if diff := cmp.Diff(b, got, cmp.AllowUnexported(book{}, entry{})); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// FuzzDecodeBook reads anything: no panic, and what it takes it writes again.
func FuzzDecodeBook(f *testing.F) {
	b := book{}.with("1")
	b.pending = &entry{name: "status", payload: []byte(`{"id":"2"}`), begun: true}
	f.Add(b.encode())
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBook(data)
		if err == nil && len(data) > 0 && b.pending != nil && !bytes.Equal(b.encode(), data) {
			t.Fatalf("% x became % x", data, b.encode())
		}
	})
}
