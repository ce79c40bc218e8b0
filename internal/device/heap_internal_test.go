package device

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"
)

func TestHeapWithinTheLimit(t *testing.T) {
	const mib, none = 1 << 20, math.MaxUint64
	for _, tc := range []struct {
		name           string
		group, machine uint64
		want           int64
	}{
		{"the unit as it is shipped, on a large machine", 256 * mib, 4096 * mib, 232 * mib},
		{"the same on a machine of 64 MiB", 256 * mib, 64 * mib, 24 * mib},
		{"a container of 64 MiB", 64 * mib, 4096 * mib, 40 * mib},
		{"half of what is little", 32 * mib, 4096 * mib, 16 * mib},
		{"a machine alone", none, 128 * mib, 72 * mib},
		{"no limit is known", none, none, math.MaxInt64},
	} {
		if got := heapWithin(memoryLimit(tc.group, tc.machine)); got != tc.want {
			t.Errorf("%s: got %d MiB, want %d MiB", tc.name, got/mib, tc.want/mib)
		}
	}
}

// TestBoundHeap changes what holds for the whole process, and puts it back.
func TestBoundHeap(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	var log bytes.Buffer

	t.Setenv("GOMEMLIMIT", "off")
	BoundHeap(zerolog.New(&log))
	if got := debug.SetMemoryLimit(-1); got != before || log.Len() > 0 {
		t.Errorf("with GOMEMLIMIT set: got %d and %q, want that it stays %d, without a word", got, &log, before)
	}

	os.Unsetenv("GOMEMLIMIT")
	total, err := memlimit.FromSystem()
	if err != nil {
		t.Fatal(err)
	}
	BoundHeap(zerolog.New(&log))
	if got := debug.SetMemoryLimit(-1); got <= 0 || got >= int64(total) {
		t.Errorf("got %d, want less than the machine's %d", got, total)
	}

	for limit, scarce := range map[uint64]bool{leastMemory - 1: true, leastMemory: false} {
		log.Reset()
		boundHeap(limit, zerolog.New(&log))
		if got, want := debug.SetMemoryLimit(-1), int64(limit/2); got != want {
			t.Errorf("of %d bytes: got %d, want %d", limit, got, want)
		}
		if got := strings.Contains(log.String(), "Raise MemoryMax="); got != scarce {
			t.Errorf("of %d bytes: the log says %q", limit, &log)
		}
	}
}
