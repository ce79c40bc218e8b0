package queue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// singles returns the rate of Puts of one message each.
func singles(b *testing.B, q *queue.Queue, n int) float64 {
	b.Helper()
	start := time.Now()
	for i := range n {
		if _, err := q.Put(context.Background(), benchMessage(uint64(i))); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

// FIELDPOST_BENCH_BACKLOG is the backlog, 100000 unless set; the goals speak of 1000000.
//
// A large backlog: the rate of single Puts at it and after it, the file, the memory and the time to open it.
func BenchmarkBacklog(b *testing.B) {
	backlog := 100_000
	fmt.Sscan(os.Getenv("FIELDPOST_BENCH_BACKLOG"), &backlog)
	for b.Loop() {
		path := filepath.Join(benchDir(b), "queue.db")
		q := openBench(b, queue.Config{Path: path})
		empty := singles(b, q, 2000)
		start := time.Now()
		for i := 0; i < backlog; i += 1000 {
			if _, err := q.Put(context.Background(), benchMessages(i, 1000)...); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(backlog)/time.Since(start).Seconds(), "fill_msg/s")
		s := q.Stats()
		b.ReportMetric(float64(s.FileBytes)/float64(s.Messages), "disk_bytes/msg")
		b.ReportMetric(float64(s.FileBytes), "peak_file_bytes")
		b.ReportMetric(singles(b, q, 2000)/empty, "backlog_vs_empty")
		var mem runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&mem)
		b.ReportMetric(float64(mem.HeapAlloc)/1e6, "heap_MB")
		b.ReportMetric(float64(mem.Sys)/1e6, "private_MB")
		b.ReportMetric(openCopy(b, path), "open_unclean_ms")
		q.Close()
		start = time.Now()
		q = openBench(b, queue.Config{Path: path})
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "open_clean_ms")
		drain(b, q)
		s = q.Stats()
		b.ReportMetric(float64(s.FileBytes), "drained_file_bytes")
		b.ReportMetric(singles(b, q, 2000)/empty, "drained_vs_empty")
	}
	b.ReportMetric(0, "ns/op")
}

// openCopy opens a copy of the file in use, which looks like one after a power cut: all of it is checked.
func openCopy(b *testing.B, path string) (ms float64) {
	b.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	copied := filepath.Join(benchDir(b), "copy.db")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	q := openBench(b, queue.Config{Path: copied})
	ms = float64(time.Since(start).Milliseconds())
	if q.Recovery() != nil {
		b.Fatal(q.Recovery().Damage)
	}
	q.Close()
	return ms
}

// drain reads and releases everything.
func drain(b *testing.B, q *queue.Queue) {
	b.Helper()
	n := q.Stats().Messages
	r, start := q.Reader(), time.Now()
	for range n {
		m, err := r.Next(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		if err := q.Release(m.Seq); err != nil {
			b.Fatal(err)
		}
	}
	if err := q.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	if _, err := q.Put(context.Background(), benchMessage(0)); err != nil { // after the compaction
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "drain_msg/s")
}
