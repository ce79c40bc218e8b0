package field

import (
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// Drain is within what time after the last fault everything has to be in the cloud: the longest wait between two attempts
// (an hour, after a registration that was denied) and the transfer of what a week without coverage leaves.
const Drain = 3 * time.Hour

// Options are what a run needs. Replay, Start, Settle and Dir are required.
type Options struct {
	Replay Replay
	Start  Start
	Settle func() // returns when every other goroutine of the bubble waits: synctest.Wait
	Dir    string // an empty folder for the queue files
	// Fill fills the disk that Dir is on to the last byte, or gives the room back; nil: the disk never fills up.
	Fill func(full bool) error
	Log  io.Writer
	// Tick, if set, is called every ten minutes of virtual time; its error ends the run.
	Tick func(Moment) error
}

// Moment is how things stand while a run goes on.
type Moment struct {
	Now    time.Duration // since the start
	On     []Fault       // that are on
	Status *agent.Status // nil while the box has no power
	Report Report
}

// Report is how a run ended.
type Report struct {
	Replay     Replay
	Length     time.Duration // virtual, until everything had drained
	Faults     map[Kind]int
	Offered    int // readings
	Accepted   int
	Refused    int
	Delivered  int // at least once
	Repeated   int // arrivals beyond the first at QoS 0 and 1
	Doubled    int // and at QoS 2, after the broker had lost its sessions
	Damaged    int // messages that their checksum gave away
	Dated      int // arrivals whose time was called known, and right
	Torn       int // power cuts that tore a write apart
	Dropped    int // counted away by the queue's bounds
	Lives      int // starts of the agent
	Connects   int // MQTT connections
	DrainTook  time.Duration
	Commits    int    // writes of the queue's file
	DayDials   int    // most connections of a day, as the module counts them
	DayLines   int    // most lines of the log of a day
	AirUp      uint64 // bytes, as the module counts them
	AirDown    uint64
	Violations []Violation    // the first of each invariant
	Broken     map[string]int // all of them, by invariant
}

// count fills in what the world and the history know.
func (w *world) count(r *Report) {
	w.mu.Lock()
	r.Lives = w.life
	w.mu.Unlock()
	r.Connects = w.cloud.count()
	s := w.module.Stats()
	r.AirUp, r.AirDown = s.AirUp, s.AirDown
	r.Torn = w.torn
	w.model.count(r)
}

// Run plays one run in the bubble that its caller has made. The error says that the world itself failed; what the agent
// did wrong is in the report.
func Run(opts Options) (Report, error) {
	begin := time.Now()
	r := rand.New(rand.NewPCG(opts.Replay.Seed, 1<<41))
	sensors := drawSensors(r, opts.Replay.secured())
	m := newModel(begin, len(sensors))
	w, err := newWorld(opts, m, sensors)
	if err != nil {
		return Report{Replay: opts.Replay}, err
	}
	run := &run{world: w, begin: begin, lastFault: begin, report: Report{Replay: opts.Replay, Faults: make(map[Kind]int)}}
	if err := w.start(); err != nil {
		return run.report, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i, s := range sensors {
		seed := r.Uint64()
		group.Go(func() { s.send(ctx, w, i, rand.New(rand.NewPCG(opts.Replay.Seed, seed))) })
	}
	err = run.play(r)
	stop()
	group.Wait()
	if err == nil {
		err = run.drain()
	}
	run.report.Length = time.Since(begin)
	closeErr := w.close()
	if err == nil {
		err = closeErr
	}
	w.count(&run.report)
	return run.report, err
}

type run struct {
	world  *world
	begin  time.Time
	report Report

	lastFault time.Time // that began or ended
	paces     paces
}

// play lets the plan happen.
func (r *run) play(random *rand.Rand) error {
	plan := r.world.opts.Replay.Plan()
	length := time.Duration(r.world.opts.Replay.Hours) * time.Hour
	next, tick := 0, time.Duration(0)
	for {
		now := time.Since(r.begin)
		if now >= length {
			return nil
		}
		wake := min(length, tick)
		if next < len(plan) {
			wake = min(wake, plan[next].At)
		}
		ending := -1
		for place, f := range r.world.faults {
			if end := f.At + f.For; end < wake || end == wake && ending < 0 {
				wake, ending = end, place
			}
		}
		time.Sleep(wake - now)
		switch {
		case ending >= 0:
			if err := r.world.end(ending); err != nil {
				return err
			}
			r.lastFault = time.Now()
		case next < len(plan) && wake == plan[next].At:
			f := plan[next]
			if f.Kind == DiskFull && r.world.opts.Fill == nil {
				next++
				continue
			}
			r.report.Faults[f.Kind]++
			switch f.Kind {
			case Flood:
				r.world.flood(random)
			case Pictures:
				r.world.pictures(random)
			default:
				if err := r.world.begin(next, f); err != nil {
					return err
				}
			}
			if f.Kind == DiskFull {
				r.world.press(random)
			}
			next++
			r.lastFault = time.Now()
			r.check("I2")
		case wake == tick:
			r.check("I2")
			if err := r.tick(wake); err != nil {
				return err
			}
			tick += 10 * time.Minute
		}
	}
}

// tick looks at what is bounded, and shows where things stand.
func (r *run) tick(now time.Duration) error {
	w := r.world
	w.log.look(false)
	r.pace(now)
	if w.opts.Tick == nil {
		return nil
	}
	moment := Moment{Now: now, Report: r.report}
	for _, f := range w.faults {
		moment.On = append(moment.On, f)
	}
	if d := w.running(); d != nil {
		st := d.Status()
		moment.Status = &st
	}
	w.count(&moment.Report)
	return w.opts.Tick(moment)
}

// check compares the queue with the history.
func (r *run) check(invariant string) {
	d := r.world.running()
	if d == nil {
		return
	}
	r.world.opts.Settle()
	waiting := make(map[uint64]bool)
	for m, err := range d.Queue().All() {
		if err != nil {
			r.world.model.violate("I1", "the queue can't be read: %v", err)
			return
		}
		waiting[m.Seq] = true
	}
	s := r.world.standing(waiting, d.Queue().Stats().Losses)
	r.count(d.Queue().Stats().Commits)
	r.report.Dropped = 0
	for _, l := range s.losses {
		r.report.Dropped += int(l.Messages)
	}
	r.world.model.checkReleased(s, invariant)
	if len(r.world.faults) == 0 && time.Since(r.lastFault) > Drain {
		r.world.model.checkLate(waiting, r.lastFault)
	}
}

// checkModes wants nothing on the disk to be open to others.
func (r *run) checkModes() {
	_ = filepath.WalkDir(r.world.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went away
		}
		if info, err := os.Lstat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			r.world.model.violate("I10", "%s has mode %v", e.Name(), info.Mode())
		}
		return nil
	})
}

// drain ends all faults and waits for the queue to run empty.
func (r *run) drain() error {
	if err := r.world.calm(); err != nil {
		return err
	}
	begin := time.Now()
	d := r.world.running()
	for d.Queue().Stats().Waiting > 0 {
		if time.Since(begin) > Drain {
			st := d.Status()
			r.world.model.violate("I7", "%d readings wait still, %s after the last fault: %s: %s", st.Queue.Messages, Drain, st.Verdict, st.Reason)
			break
		}
		time.Sleep(time.Second)
	}
	r.report.DrainTook = time.Since(begin)
	time.Sleep(time.Minute) // what is on its way back arrives
	r.check("I1")
	r.world.checkPIN()
	r.checkCommits()
	return nil
}
