package agent

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// keptOutages is how many past outages the status shows.
const keptOutages = 16

// board holds what the status shows of the link and of delivery. Its lock is held for copies only.
type board struct {
	mu        sync.Mutex
	connected bool
	since     time.Time
	trying    bool // an attempt runs
	retryAt   time.Time
	lastErr   error
	steps     []StepStatus
	outages   []Outage // oldest first; the last one may be open
	sessions  uint64
	session   Session // nil while none stands
	upBefore  uint64  // stream bytes of ended sessions
	dnBefore  uint64
	delivery  DeliveryStatus
	encoding  EncodingStatus
	sent      map[uint64]bool // published and not released, so that repeats can be told
	moved     time.Time       // when a delivery was last proved, or begun while none was under way
	lastUp    time.Time       // end of the last session
	passed    []SuspectStatus // others pass them; oldest first
	setAside  *SuspectStatus  // the last one; replaced, never changed
	wasOK     map[Step]time.Time
}

func newBoard(steps []Step, now time.Time) *board {
	b := &board{since: now, sent: make(map[uint64]bool), wasOK: make(map[Step]time.Time)}
	for _, s := range steps {
		b.steps = append(b.steps, StepStatus{Step: s, State: StepIdle, Since: now})
	}
	b.outages = append(b.outages, Outage{From: now, Cause: CauseNone, Why: "the agent has just started"})
	return b
}

// overIP tells the steps to the broker from those of the module, which waits for its network also when no attempt runs.
func overIP(s Step) bool { return s == StepTCP || s == StepTLS || s == StepMQTT }

// report notes where a step stands: what comes before it has been passed, what comes after it has to wait again. An attempt to
// reach the broker proves nothing about a network that the module says it waits for. It tells whether anything changed.
func (b *board) report(step Step, state StepState, why string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.steps, func(s StepStatus) bool { return s.Step == step })
	if at < 0 {
		return false
	}
	changed := b.set(at, state, why, now)
	for i := range b.steps {
		switch {
		case i < at && b.steps[i].State != StepOK && !(overIP(step) && b.steps[i].State == StepWaiting && !overIP(b.steps[i].Step)):
			b.set(i, StepOK, "", now)
		case i > at && state != StepOK && !b.connected:
			b.set(i, StepIdle, "", now)
		}
	}
	return changed
}

func (b *board) set(i int, state StepState, why string, now time.Time) bool {
	s := &b.steps[i]
	if s.State == state && s.Why == why {
		return false
	}
	if s.State == StepOK && state != StepOK {
		b.wasOK[s.Step] = now
	}
	if s.State != state {
		s.Since = now
	}
	s.State, s.Why = state, why
	return true
}

// tries notes that an attempt has begun.
func (b *board) tries() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = true
}

// failed notes the end of an attempt and when the next one comes.
func (b *board) failed(err error, retryAt, now time.Time) {
	cause := CauseOf(err)
	b.settle(now)
	if step, ok := stepOf(cause); ok {
		b.report(step, StepFailed, whyOf(err), now)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying, b.lastErr, b.retryAt = false, err, retryAt
	// A lost session opened the outage and names its cause; the attempts after it only explain why it goes on.
	if o := b.openOutage(); o != nil && (o.Cause == CauseNone || o.Cause == cause) {
		o.Cause, o.Why = cause, whyOf(err)
	}
}

// settle ends the waiting for the broker: the attempt is over. What the module waits for doesn't depend on it.
func (b *board) settle(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.steps {
		if b.steps[i].State == StepWaiting && overIP(b.steps[i].Step) {
			b.set(i, StepIdle, "", now)
		}
	}
}

func (b *board) up(s Session, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connected, b.since, b.session = true, now, s
	b.sessions++
	b.trying, b.lastErr, b.retryAt = false, nil, time.Time{}
	for i := range b.steps {
		b.set(i, StepOK, "", now)
	}
	if o := b.openOutage(); o != nil {
		o.Until = &now
	}
}

func (b *board) down(err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	up, down := b.session.Bytes()
	b.upBefore += up
	b.dnBefore += down
	b.connected, b.since, b.session = false, now, nil
	b.lastUp = now
	for i := range b.steps {
		if overIP(b.steps[i].Step) {
			b.set(i, StepIdle, "", now)
		}
	}
	if err == nil {
		return
	}
	b.lastErr = err
	b.outages = append(b.outages, Outage{From: now, Cause: CauseOf(err), Why: whyOf(err)})
	if extra := len(b.outages) - keptOutages; extra > 0 {
		b.outages = slices.Delete(b.outages, 0, extra)
	}
}

// healed returns the outage that the session which stands has ended; nil if there was none, or it doesn't stand any more.
func (b *board) healed() *Outage {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.outages); n > 0 && b.connected {
		if o := b.outages[n-1]; o.Until != nil && o.Until.Equal(b.since) {
			return &o
		}
	}
	return nil
}

// openOutage is called with the lock held.
func (b *board) openOutage() *Outage {
	if n := len(b.outages); n > 0 && b.outages[n-1].Until == nil {
		return &b.outages[n-1]
	}
	return nil
}

func (b *board) count(change func(*DeliveryStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.delivery)
}

// sentBefore notes messages that an earlier session, perhaps of an earlier process, has published.
func (b *board) sentBefore(seqs []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, seq := range seqs {
		b.sent[seq] = true
	}
}

// departed counts messages that are on their way, for the first time or once more.
func (b *board) departed(seqs []uint64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.delivery.InFlight == 0 {
		b.moved = now
	}
	for _, seq := range seqs {
		b.delivery.InFlight++
		if b.sent[seq] {
			b.delivery.Repeated++
		}
		b.sent[seq] = true
	}
}

// packed counts a parcel of so many messages, and the bytes of topics and payloads before and after.
func (b *board) packed(messages, in, out int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.encoding.Published++
	b.encoding.Messages += uint64(messages)
	b.encoding.BytesIn += uint64(in)
	b.encoding.BytesOut += uint64(out)
}

// landed counts messages whose fate in this session is known.
func (b *board) landed(seqs []uint64, delivered bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivery.InFlight -= uint64(len(seqs))
	if delivered {
		for _, seq := range seqs {
			delete(b.sent, seq)
		}
		b.moved = now
		b.delivery.Delivered += uint64(len(seqs))
		b.delivery.LastDeliveredAt = &now
	}
}

// parted counts the end of a flight that has proved nothing about its messages.
func (b *board) parted(messages int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.delivery.InFlight -= uint64(messages)
}

// sentList lists the messages that were published and not released.
func (b *board) sentList() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.sent))
}

// forget drops a message that has left the queue undelivered.
func (b *board) forget(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sent, seq)
}

// stepOf names the step at which a cause shows.
func stepOf(c Cause) (Step, bool) {
	switch c {
	case CausePort:
		return StepPort, true
	case CausePower:
		return StepPower, true
	case CauseSIM, CausePIN:
		return StepSIM, true
	case CauseSearching, CauseDenied:
		return StepRegistration, true
	case CauseAttach:
		return StepAttach, true
	case CauseAPN, CauseContext:
		return StepIP, true
	case CauseDNS, CauseTCP:
		return StepTCP, true
	case CauseTLS:
		return StepTLS, true
	case CauseMQTT, CauseCredentials:
		return StepMQTT, true
	}
	return "", false
}

// fill copies the board into a status.
func (b *board) fill(st *Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st.Link.Connected, st.Link.Since = b.connected, b.since
	if !b.retryAt.IsZero() {
		at := b.retryAt
		st.Link.RetryAt = &at
	}
	st.Link.Steps = slices.Clone(b.steps)
	st.Link.Sessions = b.sessions
	st.Link.BytesUp, st.Link.BytesDown = b.upBefore, b.dnBefore
	if b.session != nil {
		up, down := b.session.Bytes()
		st.Link.BytesUp += up
		st.Link.BytesDown += down
	}
	st.Outages = slices.Clone(b.outages)
	slices.Reverse(st.Outages)
	st.Delivery = b.delivery
	st.Delivery.PassedOver, st.Delivery.SetAside = append([]SuspectStatus{}, b.passed...), b.setAside
	st.Encoding = b.encoding
	st.Verdict, st.Reason = b.verdict(st)
}
