package uplink

import (
	"sync"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// flown remembers which messages were sent without proof, over all sessions, so that sending them again counts as such.
type flown struct {
	mu    sync.Mutex
	again map[uint64]bool
	open  []*mqttconn.Receipt // of the session that stands
}

func newFlown() *flown { return &flown{again: make(map[uint64]bool)} }

func (f *flown) note(seq uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.again[seq] = true
}

func (f *flown) before(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.again[seq]
}

// departed follows a message that has just been sent.
func (f *flown) departed(r *mqttconn.Receipt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, r)
	for len(f.open) > 0 && f.landed(f.open[0]) {
		f.open = f.open[1:]
	}
}

// landed reports whether the message needs not be followed any more. It is called with mu held.
func (f *flown) landed(r *mqttconn.Receipt) bool {
	select {
	case <-r.Done():
		if r.Err() == nil {
			delete(f.again, r.Seq())
			return true
		}
	default:
	}
	return false
}

// ended takes stock of a session that is over.
func (f *flown) ended() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.open {
		if !f.landed(r) {
			f.again[r.Seq()] = true
		}
	}
	f.open = nil
}
