package field

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// accept hands readings over as a sensor does, all at once, and notes the answer unless the box died before it could be heard. A picture of
// so many bytes goes with each. It reports whether they were refused.
func (w *world) accept(ctx context.Context, sensor, readings, picture int) (no bool) {
	w.mu.Lock()
	d, life := w.device, w.life
	w.mu.Unlock()
	if d == nil {
		return false
	}
	w.noteFlown(d)
	first, list := w.offer(sensor, readings, picture)
	seq, err := d.Accept(ctx, list...)
	w.mu.Lock()
	heard := w.device != nil && w.life == life
	w.mu.Unlock()
	if !heard {
		return false
	}
	for i := range list {
		if err == nil {
			w.model.answer(sensor, first+i, accepted, seq+uint64(i))
		} else {
			w.model.answer(sensor, first+i, refused, 0)
		}
	}
	return err != nil
}

// offer notes that readings are about to be handed over, and returns them.
func (w *world) offer(sensor, readings, picture int) (first int, list []queue.Message) {
	s := w.sensors[sensor]
	w.mu.Lock()
	boot := w.clock.boot
	w.mu.Unlock()
	for i := range readings {
		n := w.model.offer(sensor, s.qos, int(s.lane), boot)
		if i == 0 {
			first = n
		}
		list = append(list, queue.Message{Topic: topicOf(sensor), QoS: s.qos, Lane: s.lane, Payload: payload(sensor, n, picture), Source: "field"})
	}
	return first, list
}

// noteFlown remembers what is under way, where the queue is small: its bound passes that over.
func (w *world) noteFlown(d Device) {
	if !w.small {
		return
	}
	flights, err := d.Queue().Flights()
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range flights {
		w.flown[f.Seq] = true
		for _, seq := range f.More {
			w.flown[seq] = true
		}
	}
}

// patience bounds how long a sensor waits for its answer: where a write waits for others to share it, some sensors don't wait so long.
func (w *world) patience(ctx context.Context, r *rand.Rand) (context.Context, context.CancelFunc) {
	if w.commitWait == 0 || r.IntN(4) > 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(r.Int64N(int64(2*w.commitWait))))
}
