package queue_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/fieldpost/fieldpost/queue"
)

// These benchmarks compare the queue with raw bbolt in the same run, taking turns, since the rates of a disk mean little
// by themselves. A message has 100 bytes of payload and a topic of 30, and is on disk before its producer is told.
// FIELDPOST_BENCH_DIR names the folder to work in; -benchtime=1x is one comparison.

const benchTopic = "v1.fleet.dev-00042.telemetry.5"

func benchDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("FIELDPOST_BENCH_DIR"), "queue")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// benchMessage makes a message whose bytes don't repeat.
func benchMessage(n uint64) queue.Message {
	p := make([]byte, 100)
	binary.BigEndian.PutUint64(p, n)
	x := n*0x9E3779B97F4A7C15 + 1
	for i := 8; i < len(p); i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
	return queue.Message{Topic: benchTopic, QoS: 1, Payload: p, Source: "mqtt"}
}

func benchMessages(from, n int) []queue.Message {
	msgs := make([]queue.Message, n)
	for i := range msgs {
		msgs[i] = benchMessage(uint64(from + i))
	}
	return msgs
}

// rawBbolt is a queue as one would begin one: a bucket, ascending keys, the library's own settings.
type rawBbolt struct{ db *bbolt.DB }

func openRaw(b *testing.B, dir string) rawBbolt {
	b.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "raw.db"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("q")); return err }); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return rawBbolt{db}
}

func (r rawBbolt) put(tx *bbolt.Tx, m *queue.Message) error {
	q := tx.Bucket([]byte("q"))
	n, err := q.NextSequence()
	if err != nil {
		return err
	}
	v := binary.BigEndian.AppendUint16(nil, uint16(len(m.Topic)))
	v = append(append(v, m.Topic...), m.Payload...)
	return q.Put(binary.BigEndian.AppendUint64(nil, n), v)
}

func (r rawBbolt) putAll(msgs []queue.Message) error {
	return r.db.Update(func(tx *bbolt.Tx) error {
		for i := range msgs {
			if err := r.put(tx, &msgs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r rawBbolt) remove(n int) error {
	var keys [][]byte
	r.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte("q")).Cursor()
		for k, v := c.First(); k != nil && len(keys) < n; k, v = c.Next() {
			keys = append(keys, append([]byte(nil), k...))
			_ = append([]byte(nil), v...)
		}
		return nil
	})
	return r.db.Update(func(tx *bbolt.Tx) error {
		for _, k := range keys {
			if err := tx.Bucket([]byte("q")).Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func openBench(b *testing.B, cfg queue.Config) *queue.Queue {
	b.Helper()
	if cfg.Path == "" {
		cfg.Path = filepath.Join(benchDir(b), "queue.db")
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 1 << 30
	}
	q, err := queue.Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { q.Close() })
	return q
}

// rivals runs the two sides by turns and reports their rates, and the median of the ratios of each turn.
func rivals(b *testing.B, name string, perTurn int, ours, raw func() error) {
	b.Helper()
	var ratios []float64
	var spent [2]time.Duration
	turns := 0
	for b.Loop() {
		for range 15 {
			var took [2]time.Duration
			for i := range took {
				side := (i + turns) % 2
				start := time.Now()
				if err := []func() error{ours, raw}[side](); err != nil {
					b.Fatal(err)
				}
				took[side] = time.Since(start)
				spent[side] += took[side]
			}
			ratios = append(ratios, took[1].Seconds()/took[0].Seconds())
			turns++
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), name)
	b.ReportMetric(float64(turns*perTurn)/spent[0].Seconds(), "queue_rate:msg/s")
	b.ReportMetric(float64(turns*perTurn)/spent[1].Seconds(), "bbolt_rate:msg/s")
}

func median(v []float64) float64 {
	s := append([]float64(nil), v...)
	for i := range s {
		for j := i; j > 0 && s[j] < s[j-1]; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return s[len(s)/2]
}

func BenchmarkOne(b *testing.B) {
	q, raw := openBench(b, queue.Config{}), openRaw(b, benchDir(b))
	const turn = 300
	msgs := benchMessages(0, turn)
	rivals(b, "one_vs_bbolt", turn, func() error {
		for i := range msgs {
			if _, err := q.Put(context.Background(), msgs[i]); err != nil {
				return err
			}
		}
		return nil
	}, func() error {
		for i := range msgs {
			if err := raw.db.Update(func(tx *bbolt.Tx) error { return raw.put(tx, &msgs[i]) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// together lets 64 goroutines do f, n times each.
func together(n int, f func(i int) error) error {
	errs := make(chan error, 64)
	var wg sync.WaitGroup
	for p := range 64 {
		wg.Go(func() {
			for i := range n {
				if err := f(p*n + i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// rawGroup is the plainest committing goroutine around raw bbolt: who waits while a transaction runs shares the next one.
type rawGroup struct {
	raw rawBbolt
	in  chan rawPut
}

type rawPut struct {
	m    *queue.Message
	done chan error
}

func (g rawGroup) put(m *queue.Message) error {
	p := rawPut{m, make(chan error, 1)}
	g.in <- p
	return <-p.done
}

func (g rawGroup) run() {
	for first := range g.in {
		batch := []rawPut{first}
		for more := true; more; {
			select {
			case p := <-g.in:
				batch = append(batch, p)
			default:
				more = false
			}
		}
		err := g.raw.db.Update(func(tx *bbolt.Tx) error {
			for _, p := range batch {
				if err := g.raw.put(tx, p.m); err != nil {
					return err
				}
			}
			return nil
		})
		for _, p := range batch {
			p.done <- err
		}
	}
}

// 64 producers that share transactions, beside 64 producers that share those of raw bbolt.
func BenchmarkGroup64(b *testing.B) {
	q, raw := openBench(b, queue.Config{}), rawGroup{openRaw(b, benchDir(b)), make(chan rawPut, 64)}
	var wg sync.WaitGroup
	wg.Go(raw.run)
	const each = 100
	msgs := benchMessages(0, 64*each)
	rivals(b, "group64_vs_bbolt", len(msgs), func() error {
		return together(each, func(i int) error { _, err := q.Put(context.Background(), msgs[i]); return err })
	}, func() error {
		return together(each, func(i int) error { return raw.put(&msgs[i]) })
	})
	close(raw.in)
	wg.Wait()
	s := q.Stats()
	b.ReportMetric(float64(s.Accepted)/float64(s.Commits), "messages_per_commit")
}

// The same beside one goroutine that puts 64 messages into each transaction, and so never waits for another goroutine.
func BenchmarkGroup64VsLoop(b *testing.B) {
	q, raw := openBench(b, queue.Config{}), openRaw(b, benchDir(b))
	const each = 100
	msgs := benchMessages(0, 64*each)
	rivals(b, "group64_vs_bbolt_loop", len(msgs), func() error {
		return together(each, func(i int) error { _, err := q.Put(context.Background(), msgs[i]); return err })
	}, func() error {
		for i := 0; i < len(msgs); i += 64 {
			if err := raw.putAll(msgs[i : i+64]); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkGroup64VsUpdateAndBatch(b *testing.B) {
	q, raw := openBench(b, queue.Config{}), openRaw(b, benchDir(b))
	const each = 20
	msgs := benchMessages(0, 64*each)
	run := func(f func(i int) error) time.Duration {
		start := time.Now()
		if err := together(each, f); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	var update, batch []float64
	for b.Loop() {
		for range 5 {
			ours := run(func(i int) error { _, err := q.Put(context.Background(), msgs[i]); return err })
			u := run(func(i int) error { return raw.db.Update(func(tx *bbolt.Tx) error { return raw.put(tx, &msgs[i]) }) })
			t := run(func(i int) error { return raw.db.Batch(func(tx *bbolt.Tx) error { return raw.put(tx, &msgs[i]) }) })
			update, batch = append(update, u.Seconds()/ours.Seconds()), append(batch, t.Seconds()/ours.Seconds())
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(update), "group64_vs_update")
	b.ReportMetric(median(batch), "group64_vs_batch")
}

// Batches of 100 in, and 100 out; the removal is on disk before the next batch, or rides with it as it is meant to.
func BenchmarkBatch100(b *testing.B)       { batch100(b, "batch100_vs_bbolt", true) }
func BenchmarkBatch100Riding(b *testing.B) { batch100(b, "batch100_riding_vs_bbolt", false) }

func batch100(b *testing.B, name string, sync bool) {
	b.Helper()
	q, raw := openBench(b, queue.Config{}), openRaw(b, benchDir(b))
	r := q.Reader()
	msgs := benchMessages(0, 100)
	ctx := context.Background()
	rivals(b, name, 2000, func() error {
		seqs := make([]uint64, 100)
		for range 20 {
			if _, err := q.Put(ctx, msgs...); err != nil {
				return err
			}
			for i := range seqs {
				m, err := r.Next(ctx)
				if err != nil {
					return err
				}
				seqs[i] = m.Seq
			}
			if err := q.Release(seqs...); err != nil {
				return err
			}
			if !sync {
				continue
			}
			if err := q.Sync(ctx); err != nil {
				return err
			}
		}
		return nil
	}, func() error {
		for range 20 {
			if err := raw.putAll(msgs); err != nil {
				return err
			}
			if err := raw.remove(100); err != nil {
				return err
			}
		}
		return nil
	})
}
