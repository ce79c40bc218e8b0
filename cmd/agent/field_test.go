package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/internal/field"
)

// TestField plays days in the simulated field: FIELDPOST_FIELD names one run (SEED:HOURS:FAULTS), FIELDPOST_SOAK the time
// in which to play as many as there is room for. Otherwise some dozens are played, three days each; a few only under the race
// detector, which makes them several times slower.
func TestField(t *testing.T) {
	const hours = 72
	if text := os.Getenv("FIELDPOST_FIELD"); text != "" {
		replay, err := field.ParseReplay(text, hours)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range replay.Plan() {
			t.Logf("fault %d: %s", i, f)
		}
		t.Logf("%+v", judge(t, replay, true))
		return
	}
	runs := 32
	if raceEnabled {
		runs = 4
	}
	var sum field.Sum
	t.Cleanup(func() { t.Log(sum.String()) }) // after the parallel runs
	for seed := range uint64(runs) {
		t.Run(strconv.Itoa(int(seed)), func(t *testing.T) {
			t.Parallel()
			sum.Add(judge(t, field.Replay{Seed: seed, Hours: hours}, false))
		})
	}
}

// TestFieldForYears is the long form: new seeds, a month each, for the time that FIELDPOST_SOAK gives.
func TestFieldForYears(t *testing.T) {
	soak, err := time.ParseDuration(os.Getenv("FIELDPOST_SOAK"))
	if err != nil {
		t.Skip("FIELDPOST_SOAK=2h plays for two hours; scripts/soak sets it")
	}
	var sum field.Sum
	deadline := time.Now().Add(soak)
	first := uint64(time.Now().Unix()) << 20
	var group sync.WaitGroup
	for worker := range uint64(runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for n := uint64(0); time.Now().Before(deadline) && !t.Failed(); n++ {
				sum.Add(judge(t, field.Replay{Seed: first + n<<8 + worker, Hours: 30 * 24}, false))
				t.Logf("seed %d done, until now:\n%s", first+n<<8+worker, sum.String())
			}
		})
	}
	group.Wait()
	t.Log(sum.String())
}

// judge plays a run, and when it broke a promise looks for fewer faults that do, and says how to play them again.
func judge(t *testing.T, replay field.Replay, log bool) field.Report {
	report := inField(t, replay, log)
	if len(report.Violations) == 0 {
		return report
	}
	small := replay
	if !log {
		small = field.Shrink(replay, 40, func(r field.Replay) bool { return len(inField(t, r, false).Violations) > 0 })
	}
	for _, v := range report.Violations {
		t.Errorf("seed %d: %s", replay.Seed, v)
	}
	for i, f := range small.Plan() {
		t.Logf("fault %d of the smallest plan that fails: %s", i, f)
	}
	t.Logf("play it again with\n\tFIELDPOST_FIELD=%s go test -v -count=1 -run 'TestField$' ./cmd/agent", small)
	return report
}

// inField plays a run in a bubble of virtual time.
func inField(t *testing.T, replay field.Replay, log bool) (report field.Report) {
	dir, err := field.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	fill, free := smallDisk(t, dir)
	defer free()
	synctest.Test(t, func(t *testing.T) {
		opts := field.Options{Replay: replay, Start: startInField, Settle: synctest.Wait, Dir: dir, Fill: fill}
		if log {
			opts.Log = zerolog.NewTestWriter(t)
		}
		var err error
		if report, err = field.Run(opts); err != nil {
			t.Errorf("%s: %v", replay, err)
		}
	})
	return report
}

// smallDisk puts a file system of its own under dir, which can be filled, and is taken away by free. Without the right to mount it
// fill is nil.
func smallDisk(t *testing.T, dir string) (fill func(full bool) error, free func()) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size=48m"); err != nil {
		return nil, func() {}
	}
	free = func() {
		err := syscall.Unmount(dir, 0)
		for try := 0; err == syscall.EBUSY && try < 100; try++ { // the kernel lets go of a mapped file a moment after it was closed
			time.Sleep(20 * time.Millisecond)
			err = syscall.Unmount(dir, 0)
		}
		if err != nil {
			t.Errorf("unmounting: %v", err)
		}
	}
	filler := filepath.Join(dir, "filler")
	return func(full bool) error {
		if !full {
			return os.RemoveAll(filler)
		}
		f, err := os.OpenFile(filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		for _, size := range []int{1 << 20, 4096} {
			for chunk := make([]byte, size); err == nil; {
				_, err = f.Write(chunk)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				return errors.Join(err, f.Close())
			}
			err = nil
		}
		return f.Close()
	}, free
}
