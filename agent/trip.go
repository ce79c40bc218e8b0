package agent

import (
	"slices"
	"sync"
)

// trip is what became of the messages of one session.
type trip struct {
	mu     sync.Mutex          // guards what follows
	more   map[uint64][]uint64 // the further messages of those parcels in flying that gather several
	flying []uint64            // sent and not proved, by their first messages, in the order of their departure; what a session leaves here is unproved
	freed  []uint64            // orphans that are to be freed, by the sequences that name their flights
	open   int                 // of flying, those whose fate in this session is not known yet
	proved int                 // messages of this session that have arrived
	moved  chan struct{}       // capacity 1: open or proved has changed
}

func newTrip() *trip {
	return &trip{more: make(map[uint64][]uint64), moved: make(chan struct{}, 1)}
}

// departed notes what is on its way; an orphan says nothing about messages.
func (t *trip) departed(members []uint64, orphan bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open++
	if orphan {
		t.freed = append(t.freed, members[0])
		return
	}
	t.flying = append(t.flying, members[0])
	if len(members) > 1 {
		t.more[members[0]] = members[1:]
	}
}

// with are the messages that travel in the same parcel behind the first one.
func (t *trip) with(seq uint64) []uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.more[seq]
}

// landed notes the fate of what is on its way.
func (t *trip) landed(s sent, arrived bool) {
	t.mu.Lock()
	t.open--
	if seq := s.Seq(); arrived && s.orphan {
		t.freed = slices.DeleteFunc(t.freed, func(s uint64) bool { return s == seq })
	} else if arrived {
		t.flying = slices.DeleteFunc(t.flying, func(s uint64) bool { return s == seq })
		delete(t.more, seq)
		t.proved++
	}
	t.mu.Unlock()
	signal(t.moved)
}

// state tells how many messages are on their way, and how many have arrived.
func (t *trip) state() (open, proved int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open, t.proved
}

// head is the oldest message of the session that has not arrived; 0: there is none.
func (t *trip) head() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.flying) == 0 {
		return 0
	}
	return t.flying[0]
}

// orphan is the oldest flight that the broker was asked to free and has not freed; 0: there is none.
func (t *trip) orphan() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.freed) == 0 {
		return 0
	}
	return t.freed[0]
}
