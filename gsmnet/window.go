package gsmnet

import (
	"slices"
	"time"
)

// window is the flow control of one connection: how much may be sent, when to ask for acknowledgement, when to give up (G4.7 to
// G4.9). It is pure: every moment is an argument. Offsets count the payload bytes of the connection, from 0.
type window struct {
	max     int // never more unacknowledged than this (7300: the module's buffer, G4.7)
	limit   int // what the link has earned so far
	pollMax time.Duration
	literal bool
	stall   time.Duration // G4.9
	tail    time.Duration // G6.4

	sent, acked uint64
	awaited     uint64    // what somebody waits to be acknowledged; not above acked: nobody waits
	progress    time.Time // when the count of unacknowledged bytes last fell, or became more than 0

	asked time.Time     // when the last answer came
	due   time.Time     // when to ask next; zero: no need
	wait  time.Duration // the present backoff
	rtt   time.Duration // from a send to its acknowledgement, smoothed; 0: unknown
	rate  float64       // bytes acknowledged a second while some were outstanding, smoothed; 0: unknown
	mark  uint64        // the end of the send that is being timed; 0: none
	since time.Time     // when it was sent

	flights []flight      // sends that are not acknowledged, oldest first
	trip    time.Duration // from a send into a full window to its acknowledgement; 0: unknown
	best    time.Duration // the shortest time from any send to its acknowledgement; 0: unknown
	credit  int           // questions that may be asked without a send
}

// flight is one send until it is acknowledged.
type flight struct {
	end  uint64
	at   time.Time
	full bool // at least half of the window was under way
}

const (
	// firstPoll is when to ask after a send on a link of unknown speed: GPRS answers within 0.3 to 1 s at best.
	firstPoll = 400 * time.Millisecond
	// minPoll keeps questions from crowding out the data: one takes about 15 ms of a line at 115200 baud.
	minPoll = 60 * time.Millisecond
	// mostCredit bounds how many questions more than sends may follow a time in which fewer were needed.
	mostCredit = 3
)

func newWindow(cfg Config) *window {
	return &window{max: cfg.Window, limit: min(cfg.StartWindow, cfg.Window), pollMax: cfg.PollMax, literal: cfg.Literal,
		stall: cfg.StallTimeout, tail: cfg.TailTimeout}
}

// outstanding is how many bytes are unacknowledged, as far as is known.
func (w *window) outstanding() int { return int(w.sent - w.acked) }

// room is how many bytes may be sent now: while less than the limit is unacknowledged, one more send (G4.7), never over max.
func (w *window) room() int {
	if w.outstanding() >= w.limit {
		return 0
	}
	return max(0, w.max-w.outstanding())
}

// onSent notes that the module has taken n bytes. need is how many bytes the next send wants room for, 0 if nothing waits.
func (w *window) onSent(n, need int, now time.Time) {
	if w.outstanding() == 0 {
		w.progress, w.asked, w.wait = now, now, 0
	}
	w.sent += uint64(n)
	w.credit = min(w.credit+1, mostCredit)
	w.flights = append(w.flights, flight{w.sent, now, w.outstanding() >= w.max/2})
	if w.mark == 0 {
		w.mark, w.since = w.sent, now
	}
	if w.due.IsZero() {
		w.due = now.Add(w.first())
	}
	if w.literal {
		if w.outstanding() >= w.limit {
			w.due = now // G4.8: stop and ask, then each 5 s
		}
		return
	}
	if lacking := need - w.room(); lacking > 0 && w.rate > 0 {
		if at := w.roomAt(lacking); at.Before(w.due) {
			w.due = at // in the past when the serial line is what bounds: then ask at once
		}
	}
}

// roomAt is when so much will probably have been acknowledged that there is room. With a window that is always full that is a steady
// time after the send that has to be acknowledged, which the rate alone doesn't show: whoever waits for room too long measures how long he
// waited. There are no more questions than sends where the radio has a queue, since it costs nothing to be late there.
func (w *window) roomAt(lacking int) time.Time {
	i := slices.IndexFunc(w.flights, func(f flight) bool { return f.end >= w.acked+uint64(lacking) })
	if i < 0 || w.trip == 0 || !w.flights[i].full {
		return w.expect(lacking)
	}
	if w.credit < 0 && w.trip > w.best*9/8 {
		return w.expect(lacking)
	}
	return earlier(w.flights[i].at.Add(w.trip), w.expect(lacking))
}

// await notes up to where somebody waits for acknowledgement, 0 for nobody, and asks in time for it: whoever sends only so
// much ahead of what is acknowledged would otherwise wait for the whole of it.
func (w *window) await(offset uint64) {
	if offset == w.awaited {
		return
	}
	w.awaited = offset
	if offset <= w.acked || w.outstanding() == 0 || w.literal {
		return
	}
	at := w.asked.Add(w.first())
	if w.rate > 0 {
		at = later(w.expect(w.lacking()), w.asked.Add(minPoll))
	}
	if w.due.IsZero() || at.Before(w.due) {
		w.due = at
	}
}

// lacking is how many bytes have to be acknowledged until that is so for what somebody waits for; all if nobody does.
func (w *window) lacking() int {
	if w.awaited <= w.acked || w.awaited >= w.sent {
		return w.outstanding()
	}
	return int(w.awaited - w.acked)
}

// expect is when so many bytes more than at the last answer will probably have been acknowledged.
func (w *window) expect(bytes int) time.Time {
	return w.asked.Add(time.Duration(float64(bytes) / w.rate * float64(time.Second)))
}

// first is how long after a send on an idle link the question is likely to find it acknowledged. It is a little less than what
// was measured: a question never finds less than the time it came at, so only asking earlier can show that the link got faster.
func (w *window) first() time.Duration {
	switch {
	case w.literal:
		return w.pollMax
	case w.rtt == 0:
		return firstPoll
	}
	return min(max(w.rtt*9/10, minPoll), w.pollMax)
}

// onAck notes an answer: the peer has acked bytes in all. need is how many bytes the next send wants room for, 0 if nothing waits.
func (w *window) onAck(acked uint64, need int, now time.Time) {
	gained := acked - w.acked
	if gained > 0 {
		w.learn(gained, acked, now)
		w.land(acked, now)
		w.acked, w.progress, w.wait = acked, now, 0
		// The link has proved itself: let it use as much more as it has acknowledged, up to the module's buffer.
		if !w.literal {
			w.limit = min(w.max, w.limit+int(min(gained, uint64(w.max))))
		}
	}
	w.asked = now
	w.credit = max(w.credit-1, -mostCredit)
	w.schedule(gained > 0, need, now)
}

// learn measures round trip and rate.
func (w *window) learn(gained, acked uint64, now time.Time) {
	if w.mark != 0 && acked >= w.mark {
		sample := now.Sub(w.since)
		if w.rtt == 0 || sample < w.rtt {
			w.rtt = sample
		}
		w.rtt += (sample - w.rtt) / 4
		w.mark = 0
	}
	d := now.Sub(w.progress)
	if d <= 0 {
		return
	}
	r := float64(gained) / d.Seconds()
	// Less than a segment's worth says how long a round trip takes, and nothing of the rate but that it is no less.
	if gained < maxSend/2 {
		if w.rate > 0 {
			w.rate = max(w.rate, r)
		}
		return
	}
	if w.rate == 0 {
		w.rate = r
	}
	w.rate += (r - w.rate) / 4
}

// land takes what was acknowledged out of the flights, and learns from the last of them how long that takes.
func (w *window) land(acked uint64, now time.Time) {
	for len(w.flights) > 0 && w.flights[0].end <= acked {
		f := w.flights[0]
		w.flights = w.flights[1:]
		if len(w.flights) > 0 && w.flights[0].end <= acked {
			continue
		}
		took := now.Sub(f.at)
		if w.best == 0 || took < w.best {
			w.best = took
		}
		if !f.full {
			continue
		}
		if w.trip == 0 || w.wait > 0 || took < w.trip { // the question before came too early, so this one is about right; or it is better
			w.trip = took
		}
	}
}

// schedule decides when to ask again: when the link has probably acknowledged what matters, and later and later while it doesn't.
func (w *window) schedule(gained bool, need int, now time.Time) {
	if w.outstanding() == 0 {
		w.due = time.Time{}
		return
	}
	if w.literal {
		w.due = now.Add(w.pollMax)
		return
	}
	if !gained {
		w.wait = min(max(w.wait*3/2, w.again(), minPoll), w.pollMax)
		w.due = now.Add(w.wait)
		return
	}
	wait := w.first()
	lacking := need - w.room()
	switch bytes := w.lacking(); {
	case w.rate == 0:
	case lacking > 0 && lacking < bytes:
		wait = w.roomAt(lacking).Sub(now)
	default:
		wait = w.expect(bytes).Sub(now)
	}
	w.due = now.Add(min(max(wait, minPoll), w.pollMax))
}

// again is how soon to ask once more after the first answer that showed nothing new: half of what a full send takes on this link,
// but no longer than what a lone send takes.
func (w *window) again() time.Duration {
	if w.rate == 0 {
		return w.first() / 2
	}
	return min(time.Duration(maxSend/2/w.rate*float64(time.Second)), w.first())
}

// hurry makes the next question come soon: somebody waits for it.
func (w *window) hurry(now time.Time) {
	if w.outstanding() > 0 && (w.due.IsZero() || w.due.After(now.Add(w.first()))) {
		w.due = now.Add(w.first())
	}
}

// refused notes that the module took nothing although there should have been room: its buffer is smaller than was thought.
func (w *window) refused() { w.limit = max(maxSend, min(w.limit, w.outstanding())) }

// deadline is when the connection counts as broken unless something is acknowledged; zero: never.
func (w *window) deadline() time.Time {
	switch n := w.outstanding(); {
	case n == 0:
		return time.Time{}
	case n >= guideThreshold:
		return w.progress.Add(w.stall)
	default:
		return w.progress.Add(w.tail)
	}
}
