package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const output = `goos: linux
pkg: example.org/m/queue
BenchmarkPut/one-2         	    1000	    900.5 ns/op	      48 B/op	       2 allocs/op
BenchmarkPut/one-2         	    1000	    700 ns/op	      48 B/op	       2 allocs/op
BenchmarkPut/one-2         	    1000	    800 ns/op	      50 B/op	       2 allocs/op
BenchmarkLogs
    put_test.go:10: said something
PASS
ok  	example.org/m/queue	1.2s
pkg: example.org/m/queue/record
BenchmarkDrain-12-2	       1	 5 ns/op	 0.97 goodput_ratio	 2847 goodput:B/s
PASS
`

func TestMediansOfBenchmarks(t *testing.T) {
	runs, err := parseBenchmarks(strings.NewReader(output), "example.org/m/queue", 2)
	if err != nil {
		t.Fatal(err)
	}
	want := []figure{
		{Case: "Put/one", Metric: "time", Value: 800, Unit: "ns/op"},
		{Case: "Put/one", Metric: "allocated", Value: 48, Unit: "B/op"},
		{Case: "Put/one", Metric: "allocations", Value: 2, Unit: "1/op"},
		{Case: "record/Drain-12", Metric: "time", Value: 5, Unit: "ns/op"},
		{Case: "record/Drain-12", Metric: "goodput_ratio", Value: 0.97},
		{Case: "record/Drain-12", Metric: "goodput", Value: 2847, Unit: "B/s"},
	}
	if diff := cmp.Diff(want, medians(runs)); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	if got, want := median([]float64{4, 1}), 2.5; got != want {
		t.Errorf("median of an even number = %v, want %v", got, want)
	}
}

func TestShownAsJSONLines(t *testing.T) {
	var out strings.Builder
	err := show(&out, []figure{{Area: "size", Case: "armv6", Metric: "stripped_binary", Value: 12_345_678, Unit: "B"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"area":"size","case":"armv6","metric":"stripped_binary","value":12345678,"unit":"B"}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"size", "--json"}, {"--json", "size"}, {"-count", "5", "--json", "size"}} {
		area, asJSON, _, err := parse(args)
		if err != nil || area != "size" || !asJSON {
			t.Errorf("parse(%q) = %q, %v, %v", args, area, asJSON, err)
		}
	}
	for _, args := range [][]string{{}, {"weight"}, {"size", "air"}, {"size", "--fast"}, {"size", "--count", "0"}} {
		if area, _, _, err := parse(args); err == nil {
			t.Errorf("parse(%q) = %q, want an error", args, area)
		}
	}
}

func TestCPUOfAProcess(t *testing.T) {
	// The name of a program may contain brackets and blanks.
	const stat = "12 (a) (b c) S 1 12 12 0 -1 4194560 900 0 0 0 123 45 0 0 20 0 9 0 100 1 2"
	got, err := cpuOf(stat)
	if want := 1680 * time.Millisecond; err != nil || got != want {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
	if _, err := cpuOf("12 (a) S 1 2"); err == nil {
		t.Error("a line that is cut short is taken for a figure")
	}
}

func TestMemoryOfAProcess(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	p, err := watch(cmd)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := p.memory("sleep")
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); figures, err = p.memory("sleep") {
		time.Sleep(10 * time.Millisecond) // a process has no pages of its own in its first instants
	}
	if err != nil || len(figures) != 3 {
		t.Errorf("got %v and %v, want three figures", figures, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	<-p.done // the sampling ends by itself
}
