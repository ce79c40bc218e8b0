package queue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fieldpost/fieldpost/queue"
)

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
}

func all(t *testing.T, q *queue.Queue) []queue.Message {
	t.Helper()
	var msgs []queue.Message
	for m, err := range q.All() {
		if err != nil {
			t.Fatal(err)
		}
		msgs = append(msgs, m)
	}
	return msgs
}

func TestExportAndImportLoseNothing(t *testing.T) {
	from := open(t, queue.Config{Boot: [16]byte{1}, SinceBoot: time.Hour})
	for i := range 700 {
		put(t, from, queue.Message{
			Lane: queue.Lane(1 + i%3), Topic: fmt.Sprintf("täglich/%d", i), QoS: byte(i % 3), Retain: i%2 == 0, Source: "s",
			Payload: []byte{byte(i), byte(i >> 8), "\x00\n\"<é"[i%6]}, Attempts: uint32(i % 4),
			Expires: time.Date(2040, 1, 1, 0, 0, i, 0, time.UTC),
		})
	}
	want := all(t, from)
	var file bytes.Buffer
	if n, err := from.Export(t.Context(), &file, nil); err != nil || n != 700 {
		t.Fatalf("Export = %d, %v", n, err)
	}
	if n := strings.Count(file.String(), "\n"); n != 700 {
		t.Errorf("the export has %d lines", n)
	}
	to := open(t, queue.Config{Boot: [16]byte{2}, SinceBoot: time.Minute})
	done, err := to.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	if want := (queue.Imported{Lines: 700, Stored: 700}); err != nil || done != want {
		t.Fatalf("Import = %+v, %v; want %+v", done, err, want)
	}
	if diff := cmp.Diff(want, all(t, to), cmpopts.IgnoreFields(queue.Message{}, "Seq")); diff != "" {
		t.Errorf("imported (-want +got):\n%s", diff)
	}
	// Back where it came from, nothing is doubled.
	done, err = from.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	if want := (queue.Imported{Lines: 700, Present: 700}); err != nil || done != want {
		t.Errorf("Import into its own queue = %+v, %v; want %+v", done, err, want)
	}
}

func TestImportStopsAtABadLineAndKeepsTheOnesBefore(t *testing.T) {
	from := open(t, queue.Config{})
	put(t, from, text(queue.Normal, "one", "two", "three")...)
	var file bytes.Buffer
	if _, err := from.Export(t.Context(), &file, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(file.String(), "\n")
	for name, bad := range map[string]string{
		"no JSON": "{\n", "schema": strings.Replace(lines[1], `"schema":1`, `"schema":2`, 1),
		"lane":  strings.Replace(lines[1], `"normal"`, `"fast"`, 1),
		"topic": strings.Replace(lines[1], `site/normal`, `site/#`, 1),
		"id":    strings.Replace(lines[1], `"id":"`, `"id":"x`, 1),
		"trust": strings.Replace(lines[1], `"unknown"`, `"blind"`, 1),
		"boot":  strings.Replace(lines[1], `"boot":"`, `"boot":"0`, 1),
	} {
		to := open(t, queue.Config{})
		done, err := to.Import(t.Context(), strings.NewReader(lines[0]+bad+lines[2]), nil)
		if err == nil || !strings.Contains(err.Error(), "line 2") || done.Stored != 1 {
			t.Errorf("%s: Import = %+v, %v; want the first line stored and line 2 named", name, done, err)
		}
		if got := stored(t, to); got != "one" {
			t.Errorf("%s: %q is stored, want one", name, got)
		}
	}
}

func TestPurge(t *testing.T) {
	q := open(t, queue.Config{ReleaseWait: time.Hour})
	put(t, q, text(queue.Normal, "keep", "drop", "keep", "drop")...)
	put(t, q, text(queue.Bulk, "drop")...)
	match := func(m queue.Message) bool { return string(m.Payload) == "drop" }
	for _, dry := range []bool{true, false} {
		n, size, err := q.Purge(t.Context(), match, dry)
		if n != 3 || size != 12 || err != nil {
			t.Errorf("Purge (dry run %v) = %d, %d, %v; want 3, 12", dry, n, size, err)
		}
	}
	if got, want := stored(t, q), "keep keep"; got != want {
		t.Errorf("left are %q, want %q", got, want)
	}
	want := []queue.Loss{{queue.ReasonPurged, queue.Normal, 2}, {queue.ReasonPurged, queue.Bulk, 1}}
	if got := q.Stats().Losses; !cmp.Equal(got, want) {
		t.Errorf("Losses = %v, want %v", got, want)
	}
}

func TestCompactionGivesTheFileBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, queue.Config{Path: path})
	var msgs []queue.Message
	for i := range 1000 {
		msgs = append(msgs, queue.Message{Topic: "t", Source: "s", Payload: bytes.Repeat([]byte{byte(i)}, 12<<10)})
	}
	for i := 0; i < 1000; i += 100 {
		put(t, q, msgs[i:i+100]...)
	}
	peak := q.Stats().FileBytes
	r := q.Reader() // reads on over the change of files
	kept := 0
	for i, m := range next(t, r, 990) {
		if m.Seq != uint64(i+1) || m.Payload[0] != byte(i) {
			t.Fatalf("message %d has payload %d", m.Seq, m.Payload[0])
		}
		if i%200 == 7 {
			kept++
			continue
		}
		q.Release(m.Seq)
	}
	epoch := q.Epoch()
	if err := q.SaveFlight(t.Context(), queue.Flight{Seq: 8, PacketID: 5}, true); err != nil {
		t.Fatal(err)
	}
	put(t, q, text(queue.Alarm, "after")...)
	for start := time.Now(); q.Stats().Compactions == 0 && time.Since(start) < 10*time.Second; { // it has begun
		if err := q.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := q.Stats()
	if s.Compactions != 1 || s.FileBytes > peak/10 {
		t.Errorf("after %d compactions the file has %d bytes, of %d at its peak", s.Compactions, s.FileBytes, peak)
	}
	if q.Epoch() != epoch || s.Messages != kept+11 {
		t.Errorf("Epoch or messages changed: %x %d, want %x %d", q.Epoch(), s.Messages, epoch, kept+11)
	}
	if got := next(t, r, 11); string(got[0].Payload) != "after" || got[10].Seq != 1000 || got[10].Source != "s" {
		t.Errorf("the reader goes on with %q … %d", got[0].Payload, got[10].Seq)
	}
	if f, _ := q.Flights(); len(f) != 1 || f[0].PacketID != 5 {
		t.Errorf("Flights = %v", f)
	}
	q.Close()
	q = open(t, queue.Config{Path: path})
	if s := q.Stats(); s.Messages != kept+11 || q.Epoch() != epoch {
		t.Errorf("after reopening %d messages, want %d", s.Messages, kept+11)
	}
}

func TestMessageIDs(t *testing.T) {
	id := queue.ID{Epoch: [8]byte{0xde, 0xad, 7: 1}, Seq: 42}
	if got, want := id.String(), "dead000000000001-42"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if got, err := queue.ParseID(id.String()); got != id || err != nil {
		t.Errorf("ParseID = %v, %v", got, err)
	}
	for _, bad := range []string{"", "-", "dead000000000001", "dead-42", "dead000000000001-", "dead000000000001-4x", "dead000000000001--4"} {
		if got, err := queue.ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) = %v", bad, got)
		}
	}
	q := open(t, queue.Config{})
	put(t, q, text(queue.Normal, "x")...)
	if m, err := q.Get(1); err != nil || m.ID != (queue.ID{Epoch: q.Epoch(), Seq: 1}) {
		t.Errorf("ID = %v, %v", m.ID, err)
	}
	if _, err := q.Get(2); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Get of no message: %v", err)
	}
}
