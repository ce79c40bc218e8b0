package web

import (
	"os"
	"runtime"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"

	"github.com/fieldpost/fieldpost/agent"
)

// processFamilies is what there is to say of the process, under the names that every Go program uses, so that common
// dashboards show it. Where there is no /proc, what comes from it is absent.
func processFamilies() []family {
	return []family{
		{"go_info", "Always 1; the label tells what the program was built with.", "gauge", []string{"version"},
			func(_ agent.Status, put emit) { put(1, runtime.Version()) }},
		{"go_goroutines", "Goroutines that exist.", "gauge", nil,
			func(_ agent.Status, put emit) { put(float64(runtime.NumGoroutine())) }},
		{"go_memstats_heap_alloc_bytes", "Bytes of the heap in use.", "gauge", nil,
			func(_ agent.Status, put emit) { putRuntime(put, "/memory/classes/heap/objects:bytes") }},
		{"go_memstats_sys_bytes", "Bytes that the runtime has mapped.", "gauge", nil,
			func(_ agent.Status, put emit) { putRuntime(put, "/memory/classes/total:bytes") }},
		{"process_start_time_seconds", "When the agent was started, in seconds since 1970.", "gauge", nil,
			func(st agent.Status, put emit) { putTime(put, st.StartedAt) }},
		{"process_cpu_seconds_total", "User and system CPU time in seconds.", "counter", nil,
			func(_ agent.Status, put emit) {
				if p, ok := readProcess(); ok {
					put(p.cpuSeconds)
				}
			}},
		{"process_resident_memory_bytes", "Memory that is resident, in bytes; pages of mapped files included.", "gauge", nil,
			func(_ agent.Status, put emit) {
				if p, ok := readProcess(); ok {
					put(p.residentBytes)
				}
			}},
		{"process_open_fds", "File descriptors in use.", "gauge", nil,
			func(_ agent.Status, put emit) {
				if open, err := os.ReadDir("/proc/self/fd"); err == nil {
					put(float64(len(open) - 1)) // one is the folder itself
				}
			}},
	}
}

func putRuntime(put emit, name string) {
	sample := []runtimemetrics.Sample{{Name: name}}
	runtimemetrics.Read(sample)
	if sample[0].Value.Kind() == runtimemetrics.KindUint64 {
		put(float64(sample[0].Value.Uint64()))
	}
}

// process is what the kernel counts.
type process struct{ cpuSeconds, residentBytes float64 }

// ticks is how many units of /proc's CPU times make a second: the same on every Linux that this is built for.
const ticks = 100

// readProcess reads /proc/self/stat, see proc_pid_stat(5). What comes before the last bracket is the program's name.
func readProcess() (process, bool) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return process{}, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const first = 3 // number of the field that follows the name
	number := func(field int) float64 {
		if field-first >= len(fields) {
			return 0
		}
		n, _ := strconv.ParseFloat(fields[field-first], 64)
		return n
	}
	return process{(number(14) + number(15)) / ticks, number(24) * float64(os.Getpagesize())}, true
}
