package queue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/queue"
)

// TestDroppedFlightKeepsItsPacketID drops what is on its way at QoS 2: the broker holds the packet id, so that has to be known,
// also after a restart, until it is free.
func TestDroppedFlightKeepsItsPacketID(t *testing.T) {
	one := queue.Flight{Seq: 1, PacketID: 7, Exact: true}
	several := queue.Flight{Seq: 1, PacketID: 7, Exact: true, More: []uint64{2, 3}}
	received := func(f queue.Flight) queue.Flight { f.Received = true; return f }
	last := queue.Flight{Seq: 3, PacketID: 7, Exact: true}
	drop := func(seqs ...uint64) func(*queue.Queue) error {
		return func(q *queue.Queue) error { return q.Drop(queue.ReasonPurged, seqs...) }
	}
	save := func(f queue.Flight) func(*queue.Queue) error {
		return func(q *queue.Queue) error { return q.SaveFlight(context.Background(), f, true) }
	}
	release := func(seqs ...uint64) func(*queue.Queue) error {
		return func(q *queue.Queue) error { return q.Release(seqs...) }
	}
	type steps []func(*queue.Queue) error
	for name, tc := range map[string]struct {
		steps steps
		want  []queue.Flight
	}{
		"dropped":                                {steps{save(one), drop(1)}, []queue.Flight{one}},
		"dropped after PUBREC":                   {steps{save(received(one)), drop(1)}, []queue.Flight{received(one)}},
		"PUBREC after the drop":                  {steps{save(one), drop(1), save(received(one))}, []queue.Flight{received(one)}},
		"dropped twice":                          {steps{save(one), drop(1), drop(1)}, []queue.Flight{one}},
		"dropped before it left":                 {steps{drop(1), save(one)}, []queue.Flight{one}},
		"freed":                                  {steps{save(one), drop(1), release(1)}, nil},
		"dropped when it had arrived":            {steps{save(one), release(1), drop(1)}, nil},
		"the session is lost":                    {steps{save(one), drop(1), func(q *queue.Queue) error { return q.ClearFlights(context.Background()) }}, nil},
		"at QoS 1":                               {steps{save(queue.Flight{Seq: 1, PacketID: 7}), drop(1)}, nil},
		"all of several":                         {steps{save(several), drop(1, 2, 3)}, []queue.Flight{one}},
		"one of several":                         {steps{save(several), drop(1)}, []queue.Flight{{Seq: 2, PacketID: 7, Exact: true, More: []uint64{3}}}},
		"one of several after the other":         {steps{save(several), drop(2), drop(1), drop(3)}, []queue.Flight{last}},
		"PUBREC for several that are dropped":    {steps{save(several), drop(2), drop(1), drop(3), save(received(several))}, []queue.Flight{received(last)}},
		"several are freed":                      {steps{save(several), drop(2), drop(1), drop(3), release(1, 2, 3)}, nil},
		"one of several arrives, all are freed":  {steps{save(several), drop(2), release(1, 2, 3)}, nil},
		"the others are not touched":             {steps{save(one), save(queue.Flight{Seq: 2, PacketID: 8, Exact: true}), drop(2), release(1)}, []queue.Flight{{Seq: 2, PacketID: 8, Exact: true}}},
		"a new flight leaves the dropped one be": {steps{save(one), drop(1), save(queue.Flight{Seq: 4, PacketID: 9, Exact: true})}, []queue.Flight{one, {Seq: 4, PacketID: 9, Exact: true}}},
	} {
		for _, restart := range []string{"", "closed", "killed", "closed after each step"} {
			t.Run(name+"/"+restart, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "queue.db")
				q := open(t, queue.Config{Path: path})
				reopen := func() {
					t.Helper()
					if err := q.Close(); err != nil {
						t.Fatal(err)
					}
					if restart == "killed" {
						unclean(t, path)
					}
					q = open(t, queue.Config{Path: path})
				}
				put(t, q, text(queue.Normal, "1", "2", "3", "4")...)
				for _, step := range tc.steps {
					if err := step(q); err != nil {
						t.Fatal(err)
					}
					if restart == "closed after each step" {
						reopen()
					}
				}
				if restart != "" {
					reopen()
				}
				got, err := q.Flights()
				if err != nil || len(got) != len(tc.want) || len(got) > 0 && !cmp.Equal(got, tc.want) {
					t.Errorf("Flights = %+v, %v; want %+v", got, err, tc.want)
				}
				waiting := 0
				for _, f := range got {
					if _, err := q.Get(f.Seq); err == nil {
						waiting += 1 + len(f.More)
					}
				}
				if n := q.Stats().InFlight; n != waiting {
					t.Errorf("%d messages are in flight, want %d: what was dropped is none", n, waiting)
				}
			})
		}
	}
}

// TestOverdueOnItsWay reads what is past its time again while it is on its way: it may arrive, and must not be counted as lost,
// unless it was on its way in vain before.
func TestOverdueOnItsWay(t *testing.T) {
	for _, tried := range []bool{false, true} {
		t.Run(fmt.Sprintf("tried in vain %v", tried), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db"), MaxAge: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				defer q.Close()
				put(t, q, text(queue.Normal, "1", "2", "3")...)
				if err := q.SaveFlight(t.Context(), queue.Flight{Seq: 1, PacketID: 7, More: []uint64{2}}, true); err != nil {
					t.Fatal(err)
				}
				lost, want := uint64(1), []uint64{1, 2}
				if tried {
					if err := q.AddAttempts(1, 2); err != nil {
						t.Fatal(err)
					}
					lost, want = 3, nil
				}
				time.Sleep(2 * time.Hour)
				var got []uint64
				for r := q.Reader(); ; {
					m, ok, err := r.TryNext()
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						break
					}
					got = append(got, m.Seq)
				}
				if !slices.Equal(got, want) {
					t.Errorf("read were %v, want %v", got, want)
				}
				if err := q.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				if losses := q.Stats().Losses; len(losses) != 1 || losses[0].Messages != lost {
					t.Errorf("Losses = %+v, want %d messages", losses, lost)
				}
			})
		})
	}
}

// TestKilledAfterDrops kills a child that drops what is on its way, again and again.
func TestKilledAfterDrops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	held := map[string]bool{}
	for round := range 4 {
		cmd := child(t, "orphans", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(out)
		for heard := 0; ; heard++ {
			line, err := in.ReadString('\n')
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				break
			}
			switch what, name, _ := strings.Cut(strings.TrimSpace(line), " "); what {
			case "held":
				held[name] = true
			case "free":
				delete(held, name)
			default:
				t.Errorf("child: %s", line)
			}
			if heard == 10+round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		q, err := queue.Open(queue.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		flights, err := q.Flights()
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, f := range flights {
			known[fmt.Sprint(f.PacketID)] = f.Exact
		}
		for id := range held {
			if !known[id] {
				t.Errorf("round %d: packet id %s is forgotten; known are %v", round, id, flights)
			}
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(held) == 0 {
		t.Error("the children held nothing")
	}
}

// childOrphans drops messages that are on their way, and frees the packet id of every third.
func childOrphans(path string) {
	q := childOpen(path)
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			say("failed %v", err)
		}
	}
	for {
		seq, err := q.Put(ctx, queue.Message{Topic: "t", QoS: 2})
		must(err)
		must(q.SaveFlight(ctx, queue.Flight{Seq: seq, PacketID: uint16(seq), Exact: true}, true))
		must(q.Drop(queue.ReasonPurged, seq))
		must(q.Sync(ctx))
		if seq%3 > 0 {
			say("held %d", seq)
			continue
		}
		must(q.Release(seq))
		must(q.Sync(ctx))
		say("free %d", seq)
	}
}
