package web

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// keptPoints is a point a minute over a day, about 60 kB.
const keptPoints = 24 * 60

// point is how things stood at one moment.
type point struct {
	at        time.Time
	backlog   uint64 // messages
	delivered uint64 // messages, since the start of the agent
	connected bool
	signal    *int // dBm; nil: unknown
}

// history remembers the last day, minute by minute.
type history struct {
	mu     sync.Mutex
	points [keptPoints]point // a ring; guarded by mu
	count  uint64            // points ever added; guarded by mu
}

// record adds a point now and then one every so often until ctx ends.
func (h *history) record(ctx context.Context, every time.Duration, status func() agent.Status) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		h.add(pointOf(status()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func pointOf(st agent.Status) point {
	p := point{at: st.Time, backlog: st.Queue.Messages, delivered: st.Delivery.Delivered, connected: st.Link.Connected}
	if st.Link.Modem != nil {
		p.signal = st.Link.Modem.SignalDBm
	}
	return p
}

func (h *history) add(p point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.points[h.count%keptPoints] = p
	h.count++
}

// recorded returns how many points were ever added.
func (h *history) recorded() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// all returns the remembered points, oldest first.
func (h *history) all() []point {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count <= keptPoints {
		return slices.Clone(h.points[:h.count])
	}
	oldest := h.count % keptPoints
	return slices.Concat(h.points[oldest:], h.points[:oldest])
}
