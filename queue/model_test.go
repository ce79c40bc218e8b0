package queue_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/queue"
)

// model is the queue as a plain slice.
type model struct {
	t        *rapid.T
	path     string
	q        *queue.Queue
	r        *queue.Reader
	stored   []queue.Message // in the order of their sequences
	read     map[uint64]bool // handed out by r
	flights  map[uint64]queue.Flight
	orphans  map[uint64]queue.Flight // of which only the packet id is left
	attempts map[uint64]uint32
	seq      uint64
	made     int
}

func (m *model) open() {
	q, err := queue.Open(queue.Config{Path: m.path, MaxBytes: 4 << 20, ReleaseWait: time.Hour, LossWait: 24 * time.Hour, KeepReleased: 32 << 10})
	if err != nil {
		m.t.Fatal(err)
	}
	m.q, m.r, m.read = q, q.Reader(), map[uint64]bool{}
}

// order returns the model's messages in the order of delivery.
func (m *model) order() []queue.Message {
	sorted := slices.Clone(m.stored)
	slices.SortStableFunc(sorted, func(a, b queue.Message) int { return int(a.Lane) - int(b.Lane) })
	return sorted
}

func (m *model) put(t *rapid.T) {
	var msgs []queue.Message
	for range rapid.IntRange(1, 20).Draw(t, "n") {
		m.made++
		lane := rapid.SampledFrom(queue.Lanes()).Draw(t, "lane")
		msgs = append(msgs, queue.Message{
			Lane: lane, Topic: fmt.Sprint("t/", m.made), QoS: byte(m.made % 3), Source: fmt.Sprint("s", m.made%7),
			Payload: []byte(strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 100, 5000, 20000}).Draw(t, "size"))),
		})
	}
	first, err := m.q.Put(t.Context(), msgs...)
	if err != nil {
		t.Fatal(err)
	}
	if first != m.seq+1 {
		t.Fatalf("Put gave sequence %d after %d", first, m.seq)
	}
	for i := range msgs {
		m.seq++
		msgs[i].Seq = m.seq
		m.stored = append(m.stored, msgs[i])
	}
}

func (m *model) release(t *rapid.T) {
	var seqs []uint64
	for range rapid.IntRange(1, 15).Draw(t, "n") {
		seqs = append(seqs, rapid.Uint64Range(1, m.seq+2).Draw(t, "seq"))
	}
	if rapid.Bool().Draw(t, "oldest") {
		for _, s := range m.stored[:min(len(m.stored), 30)] {
			seqs = append(seqs, s.Seq)
		}
	}
	if err := m.q.Release(seqs...); err != nil {
		t.Fatal(err)
	}
	m.gone(seqs, func(f queue.Flight) {})
	for _, seq := range seqs {
		delete(m.orphans, seq)
	}
}

func (m *model) drop(t *rapid.T) {
	seqs := rapid.SliceOfN(rapid.Uint64Range(1, m.seq+2), 1, 8).Draw(t, "seqs")
	if len(m.stored) > 0 {
		f := m.flights[rapid.SampledFrom(m.stored).Draw(t, "of the flight of").Seq]
		seqs = append(append(seqs, f.Seq), f.More...)
	}
	if err := m.q.Drop(queue.ReasonPurged, seqs...); err != nil {
		t.Fatal(err)
	}
	m.gone(seqs, func(f queue.Flight) {
		if f.Exact {
			f.More = nil
			m.orphans[f.Seq] = f
		}
	})
}

// gone takes messages out; ended is called for each flight of which none is left.
func (m *model) gone(seqs []uint64, ended func(queue.Flight)) {
	m.stored = slices.DeleteFunc(m.stored, func(s queue.Message) bool { return slices.Contains(seqs, s.Seq) })
	for _, seq := range seqs {
		delete(m.attempts, seq)
	}
	flights := map[uint64]queue.Flight{}
	for _, f := range m.flights {
		left := slices.DeleteFunc(append([]uint64{f.Seq}, f.More...), func(seq uint64) bool { return slices.Contains(seqs, seq) })
		if len(left) == 0 {
			ended(f)
			continue
		}
		f.Seq, f.More = left[0], left[1:]
		flights[f.Seq] = f
	}
	m.flights = flights
}

func (m *model) next(t *rapid.T) {
	want := slices.DeleteFunc(m.order(), func(s queue.Message) bool { return m.read[s.Seq] })
	for i := range min(len(want), rapid.IntRange(1, 40).Draw(t, "n")) {
		got, err := m.r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Seq != want[i].Seq {
			t.Fatalf("Next = %d, want %d", got.Seq, want[i].Seq)
		}
		m.read[got.Seq] = true
	}
}

func (m *model) note(t *rapid.T) {
	if len(m.stored) == 0 {
		return
	}
	s := rapid.SampledFrom(m.stored).Draw(t, "message")
	f := queue.Flight{Seq: s.Seq, PacketID: rapid.Uint16().Draw(t, "id"), Received: rapid.Bool().Draw(t, "received"), Exact: s.QoS == 2}
	flying := map[uint64]bool{}
	for _, other := range m.flights {
		flying[other.Seq] = true
		for _, seq := range other.More {
			flying[seq] = true
		}
	}
	if _, again := m.flights[s.Seq]; flying[s.Seq] && !again {
		return // a message is in one flight at a time
	}
	if rapid.Bool().Draw(t, "gathered") {
		for _, next := range m.stored {
			if next.Seq > s.Seq && next.Seq < s.Seq+200 && next.QoS == s.QoS && !flying[next.Seq] {
				f.More = append(f.More, next.Seq)
			}
		}
	}
	if err := m.q.SaveFlight(t.Context(), f, rapid.Bool().Draw(t, "durable")); err != nil {
		t.Fatal(err)
	}
	m.flights[s.Seq] = f
	if err := m.q.AddAttempts(s.Seq); err != nil {
		t.Fatal(err)
	}
	m.attempts[s.Seq]++
}

func (m *model) reopen(t *rapid.T) {
	if err := m.q.Close(); err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "unclean") {
		if err := os.WriteFile(m.path+".lock", []byte("pid 1\nrunning 0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.open()
	for got, err := range m.q.All() { // receipts of what was dropped, written at the end
		if err != nil {
			t.Fatal(err)
		}
		if got.Seq > m.seq && got.Topic == "fieldpost/loss" {
			m.stored = append(m.stored, got)
		}
	}
	for _, s := range m.stored {
		m.seq = max(m.seq, s.Seq)
	}
}

// compare is run after each step.
func (m *model) compare(t *rapid.T) {
	want := m.order()
	i := 0
	for got, err := range m.q.All() {
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(want) {
			t.Fatalf("All yields %d, beyond the model", got.Seq)
		}
		w := want[i]
		if got.Seq != w.Seq || got.Lane != w.Lane || got.Topic != w.Topic || string(got.Payload) != string(w.Payload) ||
			got.Source != w.Source || got.QoS != w.QoS || got.Attempts != m.attempts[w.Seq] {
			t.Fatalf("All yields %d %q of %q, want %d %q of %q", got.Seq, got.Topic, got.Source, w.Seq, w.Topic, w.Source)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("All yields %d messages, want %d", i, len(want))
	}
	flights, err := m.q.Flights()
	if err != nil || len(flights) != len(m.flights)+len(m.orphans) {
		t.Fatalf("Flights = %v, %v; want %v and %v", flights, err, m.flights, m.orphans)
	}
	for _, f := range flights {
		want, ok := m.flights[f.Seq]
		if !ok {
			want = m.orphans[f.Seq]
		}
		if f.PacketID != want.PacketID || f.Received != want.Received || f.Exact != want.Exact || !slices.Equal(f.More, want.More) {
			t.Fatalf("flight %v, want %v", f, want)
		}
	}
	if s := m.q.Stats(); s.LastSeq != m.seq || s.Messages < len(want) {
		t.Fatalf("Stats = %+v, want %d messages up to %d", s, len(want), m.seq)
	}
	if _, err := m.q.Get(m.seq + 1); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("Get of no message: %v", err)
	}
}

func TestAgainstAPlainSlice(t *testing.T) {
	dir := t.TempDir()
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		m := &model{
			t: t, path: filepath.Join(dir, fmt.Sprint(round), "queue.db"),
			flights: map[uint64]queue.Flight{}, orphans: map[uint64]queue.Flight{}, attempts: map[uint64]uint32{},
		}
		m.open()
		defer func() {
			m.q.Close()
			if err := queue.VerifyFile(m.path); err != nil {
				t.Errorf("the file after the test: %v", err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"put": m.put, "put more": m.put, "release": m.release, "drop": m.drop, "next": m.next, "note": m.note, "reopen": m.reopen,
			"sync": func(t *rapid.T) {
				if err := m.q.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			"": m.compare,
		})
		if err := m.q.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := m.q.Stats(); s.Messages != len(m.stored) {
			t.Fatalf("Stats after Sync = %+v, want %d messages", s, len(m.stored))
		}
	})
}
