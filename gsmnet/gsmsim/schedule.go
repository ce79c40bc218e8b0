package gsmsim

import (
	"container/heap"
	"time"
)

// event is something that the module will do at a set moment.
type event struct {
	at   time.Time
	seq  uint64 // order among events of the same moment
	do   func()
	done bool // fired or stopped
}

// stop takes the event back. It is safe on nil and on an event that has fired.
func (e *event) stop() {
	if e != nil {
		e.done = true
	}
}

// pending tells whether the event is still to come.
func (e *event) pending() bool { return e != nil && !e.done }

// schedule keeps the events of one module in order. While one is being done, now is the moment
// that it was meant for: a late timer of the operating system delays an event but does not add
// up over a chain of them.
type schedule struct {
	now    time.Time
	events eventHeap
	seq    uint64
}

// at adds an event.
func (s *schedule) at(t time.Time, do func()) *event {
	s.seq++
	e := &event{at: t, seq: s.seq, do: do}
	heap.Push(&s.events, e)
	return e
}

// after adds an event d from now.
func (s *schedule) after(d time.Duration, do func()) *event { return s.at(s.now.Add(d), do) }

// next returns the moment of the first event.
func (s *schedule) next() (time.Time, bool) {
	for len(s.events) > 0 && s.events[0].done {
		heap.Pop(&s.events)
	}
	if len(s.events) == 0 {
		return time.Time{}, false
	}
	return s.events[0].at, true
}

// runUntil does what is due at t and leaves now at t.
func (s *schedule) runUntil(t time.Time) {
	for {
		at, ok := s.next()
		if !ok || at.After(t) {
			break
		}
		e := heap.Pop(&s.events).(*event)
		if at.After(s.now) {
			s.now = at
		}
		e.done = true
		e.do()
	}
	if t.After(s.now) {
		s.now = t
	}
}

type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
