package field

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/queue"
)

// What people do to the box, and sensors that go mad.

// card is what is in the module's SIM holder.
type card int

const (
	own card = iota
	another
	none
)

// seat puts the SIM into the holder that the faults which are on ask for. A card remembers how often its PIN was tried.
func (w *world) seat() {
	next := own
	switch {
	case w.has(SIMOut):
		next = none
	case w.has(OtherSIM):
		next = another
	}
	if next == w.card {
		return
	}
	w.checkPIN()
	if w.card != none {
		w.module.RemoveSIM()
	}
	w.card = next
	switch next {
	case own:
		w.module.InsertSIM(gsmsim.SIM{PIN: w.pin, Tries: w.tries[own]})
	case another:
		w.module.InsertSIM(gsmsim.SIM{PIN: "9753", ICCID: "89001010000000000026", Tries: w.tries[another]})
	}
}

// checkPIN wants the PIN to have been tried at most once on a card whose PIN it isn't.
func (w *world) checkPIN() {
	if w.card == none {
		return
	}
	left := w.module.PINTries()
	w.tries[w.card] = left
	if left == 0 {
		w.tries[w.card] = -1 // the simulated module's 0 is a new card
	}
	if least := 3 - int(w.card); left < least {
		w.model.violate("I6", "the SIM has %d tries of the PIN left, want %d", left, least)
	}
}

// purge drops what waits of one sensor, as the command queue purge does.
func (w *world) purge(sensor int) {
	d := w.running()
	if d == nil {
		return
	}
	w.purged = true
	topic := topicOf(sensor)
	_, err := d.Queue().Purge(context.Background(), func(m queue.Message) bool { return m.Topic == topic }, false, nil)
	if err != nil && !w.has(DiskFull) {
		w.model.violate("I1", "the queue can't be purged: %v", err)
	}
}

// mostAtOnce bounds how many readings a sensor hands over at once.
const mostAtOnce = 20

// flood is a sensor that goes mad.
func (w *world) flood(r *rand.Rand) {
	sensor := r.IntN(len(w.sensors))
	for left := 50 + r.IntN(900); left > 0; {
		n := min(left, 1+r.IntN(mostAtOnce))
		w.accept(context.Background(), sensor, n, 0)
		left -= n
	}
}

// pictureBytes is what a burst of large readings takes up: when it is delivered, the queue's file is so much larger than what is in it that
// it is compacted, from 4 MiB on.
const pictureBytes = 4300 << 10

// pictures is a burst of large readings, unless one waits already: a slow network takes an hour for each. Mostly somebody sees what they
// would cost, and purges them.
func (w *world) pictures(r *rand.Rand) {
	d := w.running()
	if d == nil || w.small || d.Queue().Stats().Bytes > pictureBytes/8 {
		return
	}
	sensor, size := r.IntN(len(w.sensors)), 3<<10+r.IntN(9<<10)
	for range pictureBytes / size {
		w.accept(context.Background(), sensor, 1, size)
	}
	if time.Sleep(time.Duration(r.IntN(40)) * time.Second); r.IntN(4) > 0 {
		w.purge(sensor)
	}
}

// press hands large readings over while the disk is full, until some were refused: what is held ready for the queue takes many.
func (w *world) press(r *rand.Rand) {
	sensor := r.IntN(len(w.sensors))
	for sent, refused := 0, 0; sent < pictureBytes/4 && refused < 3 && !w.small && w.opts.Fill != nil; {
		size := 3<<10 + r.IntN(9<<10)
		sent += size
		if w.accept(context.Background(), sensor, 1, size) {
			refused++
		}
	}
}
