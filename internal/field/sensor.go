package field

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// sensor sends readings of one kind.
type sensor struct {
	every time.Duration
	qos   byte
	lane  queue.Lane
}

// drawSensors makes two to four sensors, one of each QoS at first. Where noise may alter bytes on the serial line none is of
// QoS 0: the far TCP acknowledges altered bytes as well, and TLS, which then refuses them, comes too late for that proof.
func drawSensors(r *rand.Rand, noisy bool) []sensor {
	list := make([]sensor, 2+r.IntN(3))
	for i := range list {
		list[i] = sensor{
			every: time.Duration(5+r.IntN(25)) * time.Minute,
			qos:   byte(2 - i%3),
			lane:  []queue.Lane{queue.Normal, queue.Normal, queue.Alarm, queue.Bulk}[r.IntN(4)],
		}
		if noisy {
			list[i].qos = max(1, list[i].qos)
		}
	}
	return list
}

// send hands readings over until ctx ends, now and then some at once.
func (s sensor) send(ctx context.Context, w *world, place int, r *rand.Rand) {
	for {
		wait := time.NewTimer(time.Duration(r.ExpFloat64() * float64(s.every)))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		for range 1 + r.IntN(3) {
			patient, stop := w.patience(ctx, r)
			w.accept(patient, place, 1+r.IntN(8)/7, 0)
			stop()
		}
	}
}
