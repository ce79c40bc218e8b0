package field

import (
	"fmt"
	"maps"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// standing is what a check compares with the history.
type standing struct {
	waiting map[uint64]bool // in the queue, by sequence
	losses  []queue.Loss    // as the queue has counted them
	flown   map[uint64]bool // was under way at some time: at the bound the queue keeps what is
	boot    int             // of the machine

	full   bool          // the queue's bound may be reached
	maxAge time.Duration // after which readings are dropped; 0: none gets that old
	purged bool          // an operator has purged something
}

// standing is how things stand, given what waits and what the queue has counted as lost.
func (w *world) standing(waiting map[uint64]bool, losses []queue.Loss) standing {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := standing{waiting: waiting, losses: losses, flown: maps.Clone(w.flown), boot: w.clock.boot, full: w.small, purged: w.purged}
	if w.stale {
		s.maxAge = staleAfter
	}
	return s
}

// missing is a reading that was accepted and is neither in the queue nor at the cloud.
type missing struct {
	sensor, n int
	reading
}

func (x missing) String() string {
	return fmt.Sprintf("reading %d of sensor %d (sequence %d)", x.n, x.sensor, x.seq)
}

// checkReleased wants every accepted reading that isn't in the queue any more to have arrived, or to be among those that the queue has
// dropped for a reason that there was.
func (m *model) checkReleased(s standing, invariant string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var dropped, aged [4]uint64
	for _, l := range s.losses {
		dropped[l.Lane] += l.Messages
		switch {
		case l.Messages == 0:
		case l.Reason == queue.ReasonAge && s.maxAge > 0:
			aged[l.Lane] += l.Messages
		case l.Reason == queue.ReasonFull && s.full, l.Reason == queue.ReasonPurged && s.purged:
		default:
			m.violateLocked("I1", "%d readings of lane %s were dropped as %q, and none is", l.Messages, l.Lane, l.Reason)
		}
	}
	gone, oldest := m.missing(s)
	for lane, list := range gone {
		if n := uint64(len(list)); n > dropped[lane] {
			m.violateLocked(invariant, "%d accepted readings of lane %d are neither in the queue nor in the cloud, %d were counted as dropped: %s",
				n, lane, dropped[lane], list[n-1])
		}
		if aged[lane] > 0 && aged[lane] == dropped[lane] {
			m.checkAged(list, s)
		}
	}
	if s.full && !s.purged {
		m.checkOldestFirst(gone, oldest, s.maxAge > 0)
	}
}

// missing lists what is missing, lane by lane, and the lowest sequence of each lane that waits and was never under way; 0: none does. It is
// called with mu held.
func (m *model) missing(s standing) (gone [4][]missing, oldest [4]uint64) {
	for sensor, list := range m.sensors {
		for n, r := range list {
			switch {
			case r.fate != accepted:
			case !s.waiting[r.seq]:
				if r.arrivals == 0 {
					gone[r.lane] = append(gone[r.lane], missing{sensor, n, r})
				}
			case !s.flown[r.seq] && (oldest[r.lane] == 0 || r.seq < oldest[r.lane]):
				oldest[r.lane] = r.seq
			}
		}
	}
	return gone, oldest
}

// checkAged wants what was dropped for its age to be that old. Over a boot the age is the difference of two clocks, which may have been
// set wrongly. It is called with mu held.
func (m *model) checkAged(list []missing, s standing) {
	for _, x := range list {
		least := s.maxAge - noticeWithin
		if x.boot != s.boot {
			least -= m.error()
		}
		if age := time.Since(x.at); age < least {
			m.violateLocked("I1", "%s was dropped for its age of %s", x, age.Round(time.Second))
			return
		}
	}
}

// error is how far two clocks that were said to be right have differed at most.
func (m *model) error() (most time.Duration) {
	var low, high time.Duration
	for _, list := range m.settings {
		for _, s := range list {
			low, high = min(low, s.off), max(high, s.off)
		}
	}
	return high - low
}

// checkOldestFirst wants the bound to drop the oldest of the least urgent lane: nothing that was there before it waits behind, and was never
// under way. What is dropped for its age may be behind what was under way. It is called with mu held.
func (m *model) checkOldestFirst(gone [4][]missing, oldest [4]uint64, aged bool) {
	for lane, list := range gone {
		for _, x := range list {
			for l := lane; l < len(oldest) && (!aged || l == lane); l++ {
				if oldest[l] > 0 && oldest[l] < x.seq {
					m.violateLocked("I1", "%s of lane %d was dropped before sequence %d of lane %d", x, lane, oldest[l], l)
					return
				}
			}
		}
	}
}

// checkLate wants nothing to wait that was accepted before faults ended so long ago that the queue must have drained since.
func (m *model) checkLate(waiting map[uint64]bool, before time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for sensor, list := range m.sensors {
		for n, r := range list {
			if r.fate == accepted && waiting[r.seq] && r.at.Before(before) {
				m.violateLocked("I7", "%s waits still, %s after the last fault", missing{sensor, n, r}, time.Since(before).Round(time.Minute))
				return
			}
		}
	}
}
