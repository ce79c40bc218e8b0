package mqttconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// entry is one message on its way. Everything but receipt is guarded by the ledger's mutex.
type entry struct {
	seq       uint64
	more      []uint64 // never changes, nor does seq
	qos       byte
	id        uint16
	bytes     int
	resumed   bool // of an earlier connection
	again     bool // published by one too, for the counts only
	release   bool // resumed after PUBREC: only PUBREL may be sent
	held      bool // resumed, and nothing is sent before Publish
	left      bool // the packet is being written, or was
	journaled bool // PUBREC is in the journal since an earlier connection

	end      uint64 // where its last byte is, below TLS; valid with written
	written  bool
	acked    bool // the far end's TCP has the bytes
	received bool // PUBREC seen
	answered bool // PUBACK or PUBCOMP seen
	resolved bool // the receipt has ended
	inWindow bool

	parked  *packet       // of one that is held, once Paho has handed it over
	limit   *time.Timer   // AnswerTimeout, then AckedWait
	begun   chan struct{} // closed when the guard has the packet
	receipt *Receipt
}

// flight is what is saved of a message before its packet leaves.
func (e *entry) flight() *Flight {
	return &Flight{Seq: e.seq, More: e.more, PacketID: e.id, Exact: e.qos == 2}
}

// ledger joins messages, packet ids, byte offsets and answers. It alone ends receipts.
type ledger struct {
	release       Release
	answerTimeout time.Duration
	ackedWait     time.Duration
	maxMessages   int
	maxBytes      int
	fail          func(error) // ends the session; called without mu
	heard         func()      // bytes arrived for which no other answer comes; called without mu

	mu      sync.Mutex
	byID    map[uint16]*entry
	pending *entry   // handed to Paho, not seen by the guard yet
	flying  []*entry // written, waiting for the acknowledged count, by end
	all     map[*entry]struct{}
	window  int // messages in the window
	bytes   int
	opened  int   // how far the window has opened, up to maxBytes
	ended   error // set once: why nothing more is accepted
	noCount bool  // the connection cannot tell what was acknowledged
	stats   Stats

	room    chan struct{} // capacity 1: the window has shrunk
	changed chan struct{} // capacity 1: flying has grown
}

func newLedger(cfg Config, fail func(error)) *ledger {
	return &ledger{
		release:       cfg.Release,
		answerTimeout: cfg.AnswerTimeout,
		ackedWait:     cfg.AckedWait,
		maxMessages:   cfg.WindowMessages,
		maxBytes:      cfg.WindowBytes,
		fail:          fail,
		opened:        cfg.FirstWindow,
		byID:          make(map[uint16]*entry),
		all:           make(map[*entry]struct{}),
		room:          make(chan struct{}, 1),
		changed:       make(chan struct{}, 1),
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// resume enters a flight of an earlier connection; it takes its place in the window whatever the limit.
func (l *ledger) resume(r Resume) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &entry{
		seq: r.Seq, more: r.Flight.More, id: r.PacketID, qos: r.Message.QoS, bytes: r.Message.size(), resumed: true,
		release: r.releases(), receipt: newReceipt(r.Seq),
	}
	if e.release {
		e.qos, e.received, e.journaled, e.bytes = 2, true, true, 0
	}
	l.byID[e.id] = e
	if e.held = r.Held && !e.release; e.held {
		l.all[e] = struct{}{}
	} else {
		l.enter(e)
	}
	return e
}

// park keeps the packet of a flight that is held. It returns false for any other.
func (l *ledger) park(p packet) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.entry == nil || !p.entry.held {
		return false
	}
	p.entry.parked = &p
	return true
}

// letGo ends the holding of the flight; its packet is nil if Paho is about to hand it over. The receipt is nil if none is held.
func (l *ledger) letGo(seq uint64) (*Receipt, *packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := range l.all {
		if e.held && e.seq == seq {
			e.held = false
			l.enter(e)
			return e.receipt, e.parked
		}
	}
	return nil, nil
}

// forget drops the flights of earlier connections: the broker has not kept the session.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.byID {
		delete(l.byID, id)
		delete(l.all, e)
		l.leaveWindow(e)
	}
}

// enter is called with mu held.
func (l *ledger) enter(e *entry) {
	e.inWindow = true
	l.window++
	l.bytes += e.bytes
	l.all[e] = struct{}{}
}

// admit waits for room in the window and makes m the pending message. One caller at a time.
func (l *ledger) admit(ctx context.Context, m Message) (*entry, error) {
	for {
		e, err := l.tryAdmit(m)
		if e != nil || err != nil {
			return e, err
		}
		select {
		case <-l.room:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *ledger) tryAdmit(m Message) (*entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, l.ended
	}
	if m.QoS == 0 && l.noCount {
		return nil, &Error{Op: "publish", Cause: CauseConfig,
			Err: errors.New("this connection cannot tell which bytes were acknowledged, so QoS 0 can never be proven: use QoS 1")}
	}
	full := l.window >= l.maxMessages || l.bytes+m.size() > min(l.opened, l.maxBytes)
	if full && l.window > 0 {
		return nil, nil
	}
	e := &entry{seq: m.Seq, more: slices.Clone(m.More), qos: m.QoS, bytes: m.size(), again: m.Again, begun: make(chan struct{}), receipt: newReceipt(m.Seq)}
	l.pending = e
	l.enter(e)
	return e, nil
}

// withdraw takes back a pending message that Paho did not accept. It returns false if it is on its way all the same.
func (l *ledger) withdraw(e *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending != e {
		return false
	}
	l.pending = nil
	l.leaveWindow(e)
	delete(l.all, e)
	return true
}

// began finds the message of a PUBLISH packet that Paho has just handed over: a resumed one by its id, or the pending one.
func (l *ledger) began(id uint16, qos byte, size int) (*entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byID[id]; e != nil && qos > 0 {
		if !e.resumed || e.written {
			return nil, fmt.Errorf("packet id %d is given out twice", id)
		}
		l.stats.Repeated++
		l.stats.RepeatBytes += uint64(size)
		return e, nil
	}
	e := l.pending
	if e == nil || e.qos != qos {
		return nil, fmt.Errorf("a message under packet id %d that nobody has published", id)
	}
	l.pending = nil
	e.id = id
	if qos > 0 {
		l.byID[id] = e
	}
	l.stats.Published++
	l.stats.PublishBytes += uint64(size)
	close(e.begun)
	return e, nil
}

// resuming tells whether the broker hasn't answered for something that was sent before all else in this session.
func (l *ledger) resuming() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.byID {
		if e.resumed && !e.held && (e.release || !e.received) {
			return true
		}
	}
	return false
}

// find returns the message under a packet id, or nil.
func (l *ledger) find(id uint16) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

// leaves notes that the packet of a message is about to be written. It says whether PUBREL has to take its place, and
// whether the PUBREC that allows it is in the journal.
func (l *ledger) leaves(e *entry) (release, journaled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.left = true
	return e.release, e.journaled
}

// others is the number of messages in the window beside the n that are about to be written.
func (l *ledger) others(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.window - n
}

// wrote notes that the bytes of the entries end at the offset.
func (l *ledger) wrote(entries []*entry, end uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return
	}
	for _, e := range entries {
		e.end, e.written = end, true
		switch {
		case l.noCount:
			l.giveUpCount(e)
		case e.qos == 0 || l.release != ReleaseBroker:
			l.flying = append(l.flying, e)
		}
		if !e.resolved && !e.answered {
			e.limit = time.AfterFunc(l.answerTimeout, func() { l.unanswered(e) })
		}
	}
	signal(l.changed)
}

// unanswered ends the session for a message that has waited too long. If its bytes have not arrived either, the way is dead
// and the message not to blame.
func (l *ledger) unanswered(e *entry) {
	l.mu.Lock()
	over, arrived := e.resolved || e.answered, e.acked || l.release == ReleaseBroker
	l.mu.Unlock()
	if over {
		return
	}
	fault := &Error{Op: "session", Cause: CauseUnanswered}
	if e.qos > 0 && arrived {
		fault.Err, fault.Seq = fmt.Errorf("the broker has message %d for %v and does not answer for it", e.seq, l.answerTimeout), e.seq
	} else {
		fault.Err = fmt.Errorf("the bytes of message %d were not acknowledged within %v", e.seq, l.answerTimeout)
	}
	l.fail(fault)
}

func (l *ledger) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.InFlight, s.InFlightBytes = l.window, l.bytes
	return s
}
