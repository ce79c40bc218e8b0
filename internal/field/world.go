package field

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/queue"
)

// Device is the agent under test.
type Device interface {
	Accept(ctx context.Context, msgs ...queue.Message) (first uint64, err error)
	Status() agent.Status
	Queue() *queue.Queue
	Reconnect()                    // connect anew, as an operator asks for
	Run(ctx context.Context) error // blocks until ctx ends
	Close() error                  // after Run
}

// Setup is what a device is made from.
type Setup struct {
	Dir        string                             // its data
	Open       func() (io.ReadWriteCloser, error) // the serial port
	PIN        string                             // of the SIM; "": none
	CAFile     string                             // PEM: the broker speaks TLS under this authority; "": it doesn't
	Encoding   string                             // plain, envelope or batch
	MaxBytes   int64                              // of the queue; 0: the default
	MaxAge     time.Duration                      // of a reading; 0: the default
	CommitWait time.Duration                      // how long a write waits for others to share it
	Boot       [16]byte                           // of the machine
	Since      time.Duration                      // the time since that boot
	// Time is the machine's wall clock, and how far it is to be believed.
	Time    func(now time.Time) (time.Time, queue.Trust)
	Restart func(ctx context.Context) error // the last rung of the ladder: takes the module's supply away for a moment
	Log     io.Writer
}

// Start makes a device.
type Start func(Setup) (Device, error)

// world is the device and everything around it.
type world struct {
	opts       Options
	model      *model
	module     *gsmsim.Module
	cloud      *cloud
	base       gsmsim.Config
	sensors    []sensor
	pin        string
	small      bool            // the queue's bound is low enough to be reached
	stale      bool            // readings are dropped when they are some hours old
	purged     bool            // an operator has purged something
	flown      map[uint64]bool // was under way at some time, by sequence; kept where small
	commitWait time.Duration   // how long a write waits for others to share it
	card       card            // in the module's holder
	tries      [2]int          // of the PIN that the cards have left
	random     *rand.Rand      // of what the faults are made of

	// tearing is set while a power cut in a write is made: it is given the agent that is cut off and its folder, and returns what
	// is to be done to the copy of that.
	tearing func(d Device, dir string) (func(next string) (torn bool, err error), error)
	torn    int

	faults map[int]Fault // those that last, by their place in the plan

	mu     sync.Mutex
	device Device // nil while the box has no power
	life   int    // counts the starts of the agent
	clock  hostClock
	dark   bool // no serial port

	dir   string
	stop  context.CancelFunc
	ended chan error
	old   sync.WaitGroup // agents that were cut off and are ending
	log   *watchedLog
}

func newWorld(opts Options, m *model, sensors []sensor) (*world, error) {
	r := rand.New(rand.NewPCG(opts.Replay.Seed, 1<<40))
	w := &world{opts: opts, model: m, sensors: sensors, faults: make(map[int]Fault), flown: make(map[uint64]bool), tries: [2]int{3, 3}, log: &watchedLog{model: m, next: opts.Log}}
	w.cloud = newCloud(r, func(topic string, p []byte, qos byte) {
		m.arrived(topic, p, qos, w.cloud.forgotten())
	})
	if opts.Replay.secured() {
		if err := w.cloud.secure(filepath.Join(opts.Dir, "ca.pem")); err != nil {
			return nil, err
		}
	}
	w.base = gsmsim.Config{
		Baud: 115200, Seed: opts.Replay.Seed, Dial: w.cloud.dial,
		NATIdle: []time.Duration{0, 30 * time.Minute, 10 * time.Minute, 5 * time.Minute}[r.IntN(4)],
		Network: gsmsim.Network{
			Register: time.Duration(2+r.IntN(30)) * time.Second, Attach: time.Duration(1+r.IntN(20)) * time.Second,
			LoseAfter: []time.Duration{0, time.Minute, 10 * time.Minute}[r.IntN(3)],
		},
		Radio: gsmsim.Radio{
			Up: 1000 + r.IntN(4000), Down: 2000 + r.IntN(6000), RTT: time.Duration(400+r.IntN(1000)) * time.Millisecond,
			Jitter: time.Duration(r.IntN(300)) * time.Millisecond,
		},
	}
	if r.IntN(4) < 2 {
		w.pin = "2468"
		w.base.SIM.PIN = w.pin
	}
	w.small = r.IntN(4) == 0
	w.stale = r.IntN(4) == 0
	w.random = rand.New(rand.NewPCG(opts.Replay.Seed, 1<<44))
	w.clock = hostClock{model: m, begin: time.Now(), battery: r.IntN(2) == 0}
	if r.IntN(4) == 0 {
		w.commitWait = time.Duration(100+r.IntN(1000)) * time.Millisecond
	}
	w.powered(false)
	w.cloud.reused = m.reused
	w.module = gsmsim.New(w.base)
	w.dir = filepath.Join(opts.Dir, "life-1")
	return w, nil
}

// start puts the box under power.
func (w *world) start() error {
	w.mu.Lock()
	w.life++
	life := w.life
	boot, since := w.clock.boot, time.Since(w.clock.booted)
	w.mu.Unlock()
	setup := Setup{
		Boot: [16]byte{1, byte(boot >> 8), byte(boot)}, Since: since + time.Second, Time: w.wall,
		Dir: w.dir, CAFile: w.cloud.caFile, PIN: w.pin, Encoding: w.opts.Replay.encoding(), Log: w.log, Restart: w.powerCycle,
		Open: func() (io.ReadWriteCloser, error) { return w.open(life) },
	}
	if w.small {
		setup.MaxBytes = smallQueue
	}
	if w.stale {
		setup.MaxAge = staleAfter
	}
	setup.CommitWait = w.commitWait
	d, err := w.opts.Start(setup)
	if err != nil {
		return fmt.Errorf("field: the agent doesn't start: %w", err)
	}
	if r := d.Queue().Recovery(); r != nil {
		w.model.violate("I1", "no power cut may damage the queue's file: %v", r.Damage)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	w.stop, w.ended = cancel, ended
	w.mu.Lock()
	w.device = d
	w.mu.Unlock()
	w.log.watch(true)
	return nil
}

// smallQueue holds some hundred readings. An outage is often longer than staleAfter.
const (
	smallQueue = 64 << 10
	staleAfter = 2 * time.Hour
)

var errNoPort = errors.New("field: no such device")

// open is the device's way to the module, as long as it is the same life.
func (w *world) open(life int) (io.ReadWriteCloser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dark || life != w.life || w.device == nil {
		return nil, &fs.PathError{Op: "open", Path: "/dev/modem", Err: errNoPort}
	}
	return w.module.Wire(), nil
}

// supply gives the module power or takes it. Its PWRKEY is tied to the supply, as on most boards that run unattended: it
// comes up by itself.
func (w *world) supply(on bool) {
	w.module.SetSupply(on)
	if on {
		w.module.SetPowerKey(true)
		time.AfterFunc(time.Second, func() { w.module.SetPowerKey(false) })
	}
}

// powerCycle is the relay in the module's supply.
func (w *world) powerCycle(ctx context.Context) error {
	w.supply(false)
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
	}
	w.supply(true)
	return ctx.Err()
}

// cut ends the agent at this very moment, as a power cut or kill -9 does: what is on the disk stays, all else is gone. The
// agent that was running is cut off from the module and from the sensors, and ends behind the scenes.
func (w *world) cut(withModule bool) error {
	d := w.takeDevice()
	if d == nil {
		return nil // it is dead already
	}
	w.module.Unplug()
	if withModule {
		w.supply(false)
	}
	w.opts.Settle() // nothing is in the middle of a write
	if err := w.fill(false); err != nil {
		return err
	}
	damage := func(string) (bool, error) { return false, nil }
	if w.tearing != nil {
		var err error
		if damage, err = w.tearing(d, w.dir); err != nil {
			return err
		}
	}
	next := filepath.Join(w.opts.Dir, fmt.Sprintf("life-%d", w.life+1))
	if err := copyDir(next, w.dir); err != nil {
		return err
	}
	torn, err := damage(next)
	if err != nil {
		return err
	}
	if torn {
		w.torn++
	}
	if err := w.fill(w.has(DiskFull)); err != nil {
		return err
	}
	stop, ended, old := w.stop, w.ended, w.dir
	stop()
	w.old.Go(func() {
		_ = <-ended
		_ = d.Close()
		_ = os.RemoveAll(old)
	})
	w.dir = next
	return nil
}

// restart stops the agent as a service manager does, and starts it again.
func (w *world) restart() error {
	d := w.takeDevice()
	if d == nil {
		return nil
	}
	w.stop()
	if err := errors.Join(<-w.ended, d.Close()); err != nil {
		w.model.violate("I1", "the agent doesn't stop cleanly: %v", err)
	}
	return w.start()
}

// takeDevice takes the device away from the sensors: from now on they hear no answer.
func (w *world) takeDevice() Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.device
	w.device = nil
	if d != nil {
		w.log.watch(false)
	}
	return d
}

// fill fills the disk as other programs do, or empties it again.
func (w *world) fill(full bool) error {
	if w.opts.Fill == nil {
		return nil
	}
	return w.opts.Fill(full)
}

// boot is the other end of cut.
func (w *world) boot() error {
	if w.running() != nil {
		return nil
	}
	return w.start()
}

func (w *world) running() Device {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.device
}

// close ends everything.
func (w *world) close() error {
	var errs []error
	if d := w.running(); d != nil {
		w.log.watch(false)
		w.stop()
		errs = append(errs, <-w.ended, d.Close())
	}
	w.old.Wait()
	errs = append(errs, w.module.Close())
	w.cloud.close()
	return errors.Join(errs...)
}

// TempDir makes a folder for Options.Dir, in memory where there is such a place: the disk's own pace has no part in
// virtual time, and a month writes much.
func TempDir() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "fieldpost-field-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "fieldpost-field-")
}

// copyDir copies the files of a folder that is not written to, with their modes.
func copyDir(to, from string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}
