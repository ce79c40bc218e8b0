package device

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"
)

const (
	// besideHeap is what a process has in memory beside what Go's runtime gives it: the pages of the binary and of the queue's file
	// that are in use, and the kernel's buffers of its connections. With less, a load of large readings had the kernel read the
	// binary's pages again and again, and next to nothing was done.
	besideHeap = 24 << 20
	// leastMemory is below what 200 local clients need at 2000 readings a second: 24 MiB did, slowly, and at 20 MiB a reading took
	// seconds.
	leastMemory = 32 << 20
)

// BoundHeap tells Go's runtime what memory this process may take, as its service manager or container says, or the machine's size: by
// itself it lets the heap double before it cleans up, until the kernel kills the process. GOMEMLIMIT goes before. It concerns the whole
// process, so it is for the command that runs one device, and not part of New.
func BoundHeap(log zerolog.Logger) {
	if _, given := os.LookupEnv("GOMEMLIMIT"); given {
		return
	}
	boundHeap(memoryLimit(limitOf(memlimit.FromCgroup), limitOf(memlimit.FromSystem)), log)
}

func boundHeap(limit uint64, log zerolog.Logger) {
	if limit == math.MaxUint64 {
		return
	}
	heap := heapWithin(limit)
	debug.SetMemoryLimit(heap)
	log.Debug().Uint64("limit_bytes", limit).Int64("heap_bytes", heap).Msg("memory is bounded")
	if limit < leastMemory {
		log.Warn().Uint64("limit_bytes", limit).Uint64("least_bytes", leastMemory).
			Msg("there is little memory: under load the agent may get slow or be killed; what is accepted stays on disk. Raise MemoryMax= of the unit, or the container's limit")
	}
}

// limitOf is what the provider says; all there is if it doesn't know.
func limitOf(from memlimit.Provider) uint64 {
	limit, err := from()
	if err != nil {
		return math.MaxUint64
	}
	return limit
}

// memoryLimit is what this process may take, where a control group has a limit and a machine has so much. A quarter of the machine is the
// kernel's and everybody else's.
func memoryLimit(group, machine uint64) uint64 {
	if machine != math.MaxUint64 {
		machine -= machine / 4
	}
	return min(group, machine)
}

// heapWithin is the part of the limit that Go's runtime may take.
func heapWithin(limit uint64) int64 {
	heap := limit / 2
	if limit > 2*besideHeap {
		heap = limit - besideHeap
	}
	return int64(min(heap, math.MaxInt64))
}
