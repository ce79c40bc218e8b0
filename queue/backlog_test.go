package queue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// backlog is how many messages the benchmarks below let wait, and how their metrics call that: 1e6 unless
// FIELDPOST_BENCH_BACKLOG says otherwise.
func backlog() (n int, name string) {
	n = 1_000_000
	fmt.Sscan(os.Getenv("FIELDPOST_BENCH_BACKLOG"), &n)
	return n, strings.Replace(fmt.Sprintf("backlog_%.0e", float64(n)), "e+0", "e", 1)
}

// A large backlog: the rate of single Puts at it and after it beside that of an empty queue, the file, the memory and the
// time to open it.
func BenchmarkBacklog(b *testing.B) {
	n, name := backlog()
	for b.Loop() {
		path := filepath.Join(benchDir(b), "queue.db")
		q, empty := openBench(b, queue.Config{Path: path}), openBench(b, queue.Config{})
		b.ReportMetric(putAll(b, q, n), "fill:msg/s")
		s := q.Stats()
		b.ReportMetric(float64(s.FileBytes)/float64(s.Messages), "disk_bytes_per_message:B")
		peak := float64(s.FileBytes)
		b.ReportMetric(peak/1e6, "file_at_peak:MB")
		b.ReportMetric(putsBeside(b, q, empty), name+"_vs_empty")
		b.ReportMetric(privateMB(b), "private_memory:MB")
		b.ReportMetric(openCopy(b, path), "open_after_power_cut:ms")
		q.Close()
		start := time.Now()
		q = openBench(b, queue.Config{Path: path})
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "open_after_clean_stop:ms")
		b.ReportMetric(drain(b, q), "drain:msg/s")
		s = q.Stats()
		b.ReportMetric(float64(s.FileBytes)/1e6, "file_after_drain:MB")
		b.ReportMetric(float64(s.FileBytes)/peak, "file_after_drain_vs_peak")
		b.ReportMetric(putsBeside(b, q, empty), "drained_vs_empty")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkBacklogWear is what the device writes for a message on its way in, at a large backlog and after it.
func BenchmarkBacklogWear(b *testing.B) {
	n, name := backlog()
	for b.Loop() {
		dir, device := ramDisk(b, "512M")
		q := openBench(b, queue.Config{Path: filepath.Join(dir, "queue.db")})
		empty := bytesPerPut(b, q, device)
		putAll(b, q, n)
		b.ReportMetric(bytesPerPut(b, q, device)/empty, name+"_bytes_vs_empty")
		drain(b, q)
		b.ReportMetric(bytesPerPut(b, q, device)/empty, "drained_bytes_vs_empty")
		b.ReportMetric(empty, "empty_bytes_per_put:B")
		q.Close()
	}
	b.ReportMetric(0, "ns/op")
}

// bytesPerPut is paced like BenchmarkWear.
func bytesPerPut(b *testing.B, q *queue.Queue, device string) float64 {
	b.Helper()
	const puts = 200
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	before, _ := written(b, device)
	for i := range puts {
		<-pace.C
		if _, err := q.Put(context.Background(), benchMessage(uint64(i))); err != nil {
			b.Fatal(err)
		}
	}
	after, _ := written(b, device)
	return float64(after-before) / puts
}

// putsBeside is the rate of Puts of one message each, as a ratio to that of another queue: the median of turns.
func putsBeside(b *testing.B, q, other *queue.Queue) float64 {
	b.Helper()
	var ratios []float64
	for range 9 {
		var took [2]time.Duration
		for i, queue := range []*queue.Queue{q, other} {
			start := time.Now()
			for n := range 300 {
				if _, err := queue.Put(context.Background(), benchMessage(uint64(n))); err != nil {
					b.Fatal(err)
				}
			}
			took[i] = time.Since(start)
		}
		ratios = append(ratios, took[1].Seconds()/took[0].Seconds())
	}
	return median(ratios)
}

// putAll puts n messages in, and returns the rate.
func putAll(b *testing.B, q *queue.Queue, n int) float64 {
	b.Helper()
	start := time.Now()
	for i := 0; i < n; i += 1000 {
		if _, err := q.Put(context.Background(), benchMessages(i, min(1000, n-i))...); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

// privateMB is the memory that is this process's alone: not the map of the file, which the kernel can drop.
func privateMB(b *testing.B) float64 {
	b.Helper()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	var kB float64
	if _, text, ok := strings.Cut(string(status), "RssAnon:"); !ok {
		b.Fatal("/proc/self/status has no RssAnon")
	} else if _, err := fmt.Sscan(text, &kB); err != nil {
		b.Fatal(err)
	}
	return kB * 1024 / 1e6
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

// drain reads and releases everything, and returns the rate.
func drain(b *testing.B, q *queue.Queue) float64 {
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
	return float64(n) / time.Since(start).Seconds()
}
