package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// sampleEvery is how often a process is asked for its memory; the kernel itself keeps the peak of the whole, not of its parts.
const sampleEvery = 100 * time.Millisecond

// watched is a process whose memory is sampled for as long as it runs.
type watched struct {
	pid  int
	done chan struct{} // closed when the process has gone

	mu   sync.Mutex
	peak map[string]float64 // guarded by mu: field of /proc/PID/status -> bytes
}

// watch starts the command. The sampling ends with the process.
func watch(cmd *exec.Cmd) (*watched, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &watched{pid: cmd.Process.Pid, done: make(chan struct{}), peak: make(map[string]float64)}
	go func() {
		defer close(p.done)
		for p.sample() == nil {
			time.Sleep(sampleEvery)
		}
	}()
	return p, nil
}

// memoryFields are those of proc_pid_status(5) that are measured. RssAnon is the process's own. RssFile are pages of files, the binary's and
// those of the queue's map: the kernel takes them back whenever it needs the room. VmHWM is the peak of both and of what is shared.
var memoryFields = []struct{ field, metric string }{{"VmHWM", "resident"}, {"RssAnon", "resident_anonymous"}, {"RssFile", "resident_file"}}

func (p *watched) sample() error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return err
	}
	found := 0
	p.mu.Lock()
	defer p.mu.Unlock()
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		for _, m := range memoryFields {
			if name != m.field {
				continue
			}
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				return err
			}
			p.peak[name] = max(p.peak[name], kib*1024)
			found++
		}
	}
	if found < len(memoryFields) {
		return fmt.Errorf("process %d has ended", p.pid) // a zombie has no memory
	}
	return nil
}

// memory returns the peaks up to now.
func (p *watched) memory(name string) ([]figure, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var figures []figure
	for _, m := range memoryFields {
		if p.peak[m.field] == 0 {
			return nil, fmt.Errorf("%s: process %d ended before its memory could be read", name, p.pid)
		}
		figures = append(figures, figure{Case: name, Metric: m.metric, Value: p.peak[m.field] / 1e6, Unit: "MB"})
	}
	return figures, nil
}

// cpu is the processor time that the process has used: fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms.
func (p *watched) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0, err
	}
	return cpuOf(string(text))
}

func cpuOf(stat string) (time.Duration, error) {
	// The second field is the program's name in brackets, which may contain anything.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields after the name", len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
