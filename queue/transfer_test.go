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
	if done, err := from.Export(t.Context(), &file, nil); err != nil || done != (queue.Exported{Messages: 700}) {
		t.Fatalf("Export = %+v, %v", done, err)
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
	// Nothing is doubled: where it came from, where it is already, and where the file itself repeats.
	for name, q := range map[string]*queue.Queue{"from": from, "to": to} {
		done, err = q.Import(t.Context(), bytes.NewReader(append(file.Bytes(), file.Bytes()...)), nil)
		if want := (queue.Imported{Lines: 1400, Present: 1400}); err != nil || done != want {
			t.Errorf("Import again into %s = %+v, %v; want %+v", name, done, err, want)
		}
	}
	// What has gone since comes back.
	if err := from.Release(5); err != nil {
		t.Fatal(err)
	}
	if done, err = from.Import(t.Context(), bytes.NewReader(file.Bytes()), nil); err != nil || done.Stored != 1 || done.Present != 699 {
		t.Errorf("Import after a release = %+v, %v; want 1 stored, 699 present", done, err)
	}
	if done, err = from.Import(t.Context(), bytes.NewReader(file.Bytes()), nil); err != nil || done.Stored != 0 {
		t.Errorf("Import once more = %+v, %v; want nothing stored", done, err)
	}
}

// What is there makes no room for what is imported, also where a Put would drop the oldest.
func TestImportDropsNothing(t *testing.T) {
	from := open(t, queue.Config{})
	for range 100 {
		put(t, from, queue.Message{Topic: "t", Payload: make([]byte, 4<<10)})
	}
	var file bytes.Buffer
	if _, err := from.Export(t.Context(), &file, nil); err != nil {
		t.Fatal(err)
	}
	to := open(t, queue.Config{MaxBytes: 300 << 10, Full: queue.DropOldest})
	put(t, to, text(queue.Bulk, "first")...)
	done, err := to.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	if !errors.Is(err, queue.ErrFull) || done.Stored == 100 || done.Stored != to.Stats().Messages-1 {
		t.Errorf("Import = %+v, %v; want ErrFull, and %d stored", done, err, to.Stats().Messages-1)
	}
	if m, err := to.Get(1); err != nil || string(m.Payload) != "first" || len(to.Stats().Losses) > 0 {
		t.Errorf("what was there before: %s, %v, %+v", m.Payload, err, to.Stats().Losses)
	}
}

func TestFilter(t *testing.T) {
	m := queue.Message{Seq: 7, Lane: queue.Bulk, Topic: "site/a/b"}
	for f, want := range map[queue.Filter]bool{
		{}:                                 true,
		{Lane: queue.Bulk}:                 true,
		{Lane: queue.Alarm}:                false,
		{Topic: "site"}:                    true,
		{Topic: "site/"}:                   true,
		{Topic: "site/a/b"}:                true,
		{Topic: "site/a/b/"}:               false,
		{Topic: "sit"}:                     false,
		{Topic: "site/a/b/c"}:              false,
		{Topic: "/"}:                       false,
		{Last: 7}:                          true,
		{Last: 6}:                          false,
		{Lane: queue.Bulk, Topic: "other"}: false,
	} {
		if got := f.Match(m); got != want {
			t.Errorf("%+v.Match: got %v, want %v", f, got, want)
		}
	}
	if !(queue.Filter{Topic: "/"}).Match(queue.Message{Topic: "/a"}) {
		t.Error("/ doesn't select /a")
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
		got, err := q.Purge(t.Context(), match, dry, nil)
		if want := (queue.Purged{Messages: 3, PayloadBytes: 12, Last: 5}); got != want || err != nil {
			t.Errorf("Purge (dry run %v) = %+v, %v; want %+v", dry, got, err, want)
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
