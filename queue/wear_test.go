package queue_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// ramDisk makes an ext4 file system with a journal on a loop device over memory, where nobody else writes, so that the
// kernel's counters of the device are those of the queue. It takes root; what is missing is said.
func ramDisk(b testing.TB, size string) (dir, device string) {
	b.Helper()
	base := b.TempDir()
	dir = filepath.Join(base, "disk")
	if err := syscall.Mount("tmpfs", base, "tmpfs", 0, "mode=0700,size=600m"); err != nil {
		b.Skipf("mounting memory: %v; this needs root and the right to mount", err)
	}
	b.Cleanup(func() {
		if err := syscall.Unmount(base, syscall.MNT_DETACH); err != nil { // the loop device lets go of the image a moment later
			b.Error(err)
		}
	})
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	image := filepath.Join(base, "image")
	run := func(name string, args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), childLimit)
		defer cancel()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err != nil {
			b.Skipf("%s %s: %v: %s; this needs root, mkfs.ext4 and a loop device", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("truncate", "-s", size, image)
	run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
	device = run("losetup", "--find", "--show", image)
	defer run("losetup", "--detach", device) // once nobody has it mounted any more
	if err := syscall.Mount(device, dir, "ext4", 0, ""); err != nil {
		b.Skipf("mounting %s: %v", device, err)
	}
	b.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			b.Error(err)
		}
	})
	return dir, filepath.Base(device)
}

// written returns the bytes and flushes that the device has seen.
func written(b *testing.B, device string) (bytes, flushes uint64) {
	b.Helper()
	stats, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(stats)) {
		f := strings.Fields(line)
		if len(f) >= 19 && f[2] == device { // Documentation/admin-guide/iostats.rst: 10 sectors written, 19 flushes
			var sectors uint64
			fmt.Sscan(f[9], &sectors)
			fmt.Sscan(f[18], &flushes)
			return sectors * 512, flushes
		}
	}
	b.Skipf("/proc/diskstats doesn't count the flushes of %s", device)
	return 0, 0
}

// BenchmarkWear measures the life of a message, in and out, with a short queue: what the device writes for it, also where released messages are kept. Commits are
// paced to one in 5 ms, as a flash would do, since the file system's clock ticks every 4.
func BenchmarkWear(b *testing.B) {
	dir, device := ramDisk(b, "512M")
	for _, c := range []struct {
		name  string
		batch int
		kept  int64
	}{{"1", 1, 0}, {"10", 10, 0}, {"1_kept", 1, 64 << 10}, {"10_kept", 10, 64 << 10}} {
		batch := c.batch
		b.Run(c.name, func(b *testing.B) {
			fresh, err := os.MkdirTemp(dir, "queue") // it may run several times
			if err != nil {
				b.Fatal(err)
			}
			q, err := queue.Open(queue.Config{Path: filepath.Join(fresh, "queue.db"), ReleaseWait: time.Minute, KeepReleased: c.kept})
			if err != nil {
				b.Fatal(err)
			}
			defer q.Close()
			ctx, r := context.Background(), q.Reader()
			n := 0
			cycle := func() {
				if _, err := q.Put(ctx, benchMessages(n, batch)...); err != nil {
					b.Fatal(err)
				}
				n += batch
				for n > 200 && r != nil {
					m, err := r.Next(ctx)
					if err != nil {
						b.Fatal(err)
					}
					q.Release(m.Seq)
					if m.Seq == uint64(n-200) {
						break
					}
				}
			}
			for n < 2000 { // until what is kept is at its bound
				cycle()
			}
			const rounds = 400
			bytes, flushes := written(b, device)
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for b.Loop() {
				for range rounds {
					<-pace.C
					cycle()
				}
			}
			bytes2, flushes2 := written(b, device)
			msgs := float64(b.N * rounds * batch)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(bytes2-bytes)/msgs, "device_bytes_per_message:B")
			b.ReportMetric(float64(flushes2-flushes)/msgs, "flushes_per_message")
		})
	}
}
