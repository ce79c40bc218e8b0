package field

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// truth is the true time when a run begins. A bubble's own clock begins in 2000, a date that the agent never believes.
var truth = time.Date(2027, 3, 1, 6, 0, 0, 0, time.UTC)

// hostClock is the machine's wall clock: it may stand at 1970 after a boot, be off, be set, and be set wrongly.
type hostClock struct {
	model   *model
	begin   time.Time // of the run, when it was truth
	battery bool      // it goes on while the box has no power

	boot   int // counts the boots
	booted time.Time
	off    time.Duration // what it shows less the true time
	trust  queue.Trust
	timer  *time.Timer // until a time server is found
}

// start is a boot: with a battery the clock is a little off, without one it is 1970, until a time server has set it.
func (c *hostClock) start(now time.Time, r *rand.Rand, lost bool, until time.Duration) {
	c.boot++
	c.booted = now
	c.trust, c.off = queue.TrustGuessed, time.Duration(r.Int64N(int64(2*time.Minute)))-time.Minute
	if !c.battery || lost {
		c.trust, c.off = queue.TrustUnknown, time.Unix(0, 0).Sub(c.true(now))
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.NewTimer(until)
}

func (c *hostClock) true(now time.Time) time.Time { return truth.Add(now.Sub(c.begin)) }

// set is what a time server does.
func (c *hostClock) set(off time.Duration) {
	c.off, c.trust = off, queue.TrustKnown
	c.model.told(c.boot, off)
}

// show is what the machine tells the agent.
func (c *hostClock) show(now time.Time) (time.Time, queue.Trust) {
	select {
	case <-c.timer.C:
		c.set(0)
	default:
	}
	return c.true(now).Add(c.off).Round(0), c.trust
}

// leap is by how much a clock is stepped: from seconds to half a day, either way.
func leap(r *rand.Rand) time.Duration {
	d := time.Duration(float64(3*time.Second) * math.Pow(4*3600, r.Float64()))
	if r.IntN(2) == 0 {
		return -d
	}
	return d
}

// wall is the machine's wall clock.
func (w *world) wall(now time.Time) (time.Time, queue.Trust) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock.show(now)
}

// powered boots the machine. A time server is found some time later: soon, or, where the clock was lost, after hours.
func (w *world) powered(lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := time.Duration(w.random.Int64N(int64(20 * time.Minute)))
	if lost {
		found += time.Duration(w.random.Int64N(int64(6 * time.Hour)))
	}
	w.clock.start(time.Now(), w.random, lost, found)
}

// leap lets a time server set the clock wrongly, unleap rightly.
func (w *world) leap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.set(leap(w.random))
}

func (w *world) unleap() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.set(0)
}
