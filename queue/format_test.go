package queue_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

const formatSample = "testdata/format1.db.gz"

// sampleMessages is what the stored file holds.
func sampleMessages() []queue.Message {
	day := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	boot := [16]byte{0xb0, 0x07}
	return []queue.Message{
		{Seq: 2, Lane: queue.Alarm, Topic: "pump-07/alarm", QoS: 2, Payload: []byte("overpressure"), Source: "mqtt", Time: day.Add(time.Second), Trust: queue.TrustKnown, Boot: boot, Mono: time.Minute},
		{Seq: 1, Lane: queue.Normal, Topic: "pump-07/pressure", QoS: 1, Retain: true, Payload: []byte("4.2"), Source: "mqtt", Time: day, Trust: queue.TrustKnown, Boot: boot, Mono: time.Second, Attempts: 5},
		{Seq: 4, Lane: queue.Normal, Topic: "pump-07/pressure", Payload: []byte{0, 0xff}, Source: "http", Time: day.Add(-time.Hour), Trust: queue.TrustGuessed, Boot: [16]byte{0x0b}, Mono: time.Hour, Expires: day.Add(time.Hour), ID: queue.ID{Epoch: [8]byte{1, 2, 3}, Seq: 99}},
		{Seq: 5, Lane: queue.Bulk, Topic: "pump-07/log", Payload: bytes.Repeat([]byte("line\n"), 2000), Source: "file", Time: day, Trust: queue.TrustUnknown, Boot: boot, Mono: 2 * time.Second},
	}
}

// A file that format 1 has once written opens for ever. FIELDPOST_WRITE_SAMPLE=1 writes it anew, which is right only for a
// new format, under a new name.
func TestFormat1IsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	if os.Getenv("FIELDPOST_WRITE_SAMPLE") != "" {
		synctest.Test(t, writeSample)
	}
	f, err := os.Open(formatSample)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	q := open(t, queue.Config{Path: path})
	if q.Recovery() != nil {
		t.Fatalf("Recovery = %+v", q.Recovery())
	}
	want := sampleMessages()
	for i := range want {
		if want[i].ID == (queue.ID{}) {
			want[i].ID = queue.ID{Epoch: q.Epoch(), Seq: want[i].Seq}
		}
	}
	// The clock of the first boot became known: the last message was stamped before.
	want[3].Time, want[3].Trust = time.Date(2026, 11, 22, 13, 0, 2, 0, time.UTC), queue.TrustKnown
	if diff := cmp.Diff(want, all(t, q)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if got, _ := q.Flights(); !cmp.Equal(got, []queue.Flight{{Seq: 2, PacketID: 7, Received: true, Exact: true}}) { // as its message is
		t.Errorf("Flights = %v", got)
	}
	if got := q.Stats().Losses; !cmp.Equal(got, []queue.Loss{{Reason: queue.ReasonPoison, Lane: queue.Normal, Messages: 1}}) {
		t.Errorf("Losses = %v", got)
	}
	if got := put(t, q, text(queue.Normal, "next")...); got != 7 {
		t.Errorf("the next sequence is %d, want 7", got)
	}
}

func writeSample(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.db")
	q, err := queue.Open(queue.Config{Path: path, Boot: [16]byte{0xb0, 0x07}, SinceBoot: time.Second, ReleaseWait: time.Hour, LossWait: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	m := sampleMessages()
	put(t, q, m[1], m[0], queue.Message{Topic: "poison"}, m[2], m[3], queue.Message{Topic: "released"})
	if err := q.SaveFlight(t.Context(), queue.Flight{Seq: 2, PacketID: 7, Received: true}, true); err != nil {
		t.Fatal(err)
	}
	q.Drop(queue.ReasonPoison, 3)
	q.Release(6)
	if err := q.SetClock(t.Context(), time.Date(2026, 11, 22, 13, 0, 1, 0, time.UTC), queue.TrustKnown); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path) // as a crash would leave it: Close would turn the loss into a receipt
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	z.Close()
	if err := os.WriteFile(formatSample, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
