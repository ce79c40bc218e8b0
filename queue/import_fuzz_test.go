package queue_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/fieldpost/fieldpost/queue"
)

// FuzzImport reads anything as an export. What was taken can be exported, and imports as what it is.
func FuzzImport(f *testing.F) {
	from, err := queue.Open(queue.Config{Path: filepath.Join(f.TempDir(), "queue.db")})
	if err != nil {
		f.Fatal(err)
	}
	defer from.Close()
	for _, m := range append(text(queue.Bulk, "one", "two"), queue.Message{Topic: "a/b", Payload: []byte{0, 1}, QoS: 2, Retain: true}) {
		if _, err := from.Put(f.Context(), m); err != nil {
			f.Fatal(err)
		}
	}
	var file bytes.Buffer
	if _, err := from.Export(f.Context(), &file, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Add(append(file.Bytes(), file.Bytes()[:file.Len()/2]...))
	f.Add([]byte("{}\nnull\n[]\n{\"topic\":\"#\"}\n{\"seq\":-1}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		take := func(data []byte) (*queue.Queue, queue.Imported, error) {
			q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db"), MaxBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { q.Close() })
			done, err := q.Import(t.Context(), bytes.NewReader(data), nil)
			if got := q.Stats().Messages; got != done.Stored {
				t.Fatalf("%d messages, %d were said to be stored", got, done.Stored)
			}
			return q, done, err
		}
		q, done, _ := take(data)
		var exported bytes.Buffer
		if _, err := q.Export(t.Context(), &exported, nil); err != nil {
			t.Fatal(err)
		}
		if _, again, err := take(exported.Bytes()); err != nil || again.Stored != done.Stored {
			t.Fatalf("of %d messages %d came back: %v", done.Stored, again.Stored, err)
		}
	})
}
