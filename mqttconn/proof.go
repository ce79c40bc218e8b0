package mqttconn

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The half of the ledger that decides when a message has arrived.

// answer notes PUBACK, PUBREC or PUBCOMP. It returns false for one that fits no message on its way, which then must not
// reach Paho: it would free a packet id that is in use.
func (l *ledger) answer(kind byte, id uint16) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byID[id]
	if !fits(e, kind) {
		l.stats.Strays++
		return false
	}
	if kind == typePubrec {
		e.received = true
		// Some brokers repeat their PUBREC as soon as a session is resumed. A PUBLISH that has not left by then must not
		// leave after the PUBREL, or it would be a new message under that id: PUBREL takes its place.
		e.release = e.resumed && !e.left
		return !e.release
	}
	e.answered = true
	delete(l.byID, id)
	l.widen(e)
	l.leaveWindow(e)
	if l.settle(e) || e.resolved {
		return true
	}
	// Only the acknowledged count is missing now.
	if e.limit != nil {
		e.limit.Stop()
	}
	e.limit = time.AfterFunc(l.ackedWait, func() { l.contradict(e) })
	return true
}

// stray counts an answer that fits nothing.
func (l *ledger) stray() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Strays++
}

// fits says whether an answer is one that the message under its id waits for.
func fits(e *entry, kind byte) bool {
	switch {
	case e == nil:
		return false
	case kind == typePuback:
		return e.qos == 1
	case kind == typePubrec:
		return e.qos == 2 && !e.release && !e.received // one PUBREL is enough
	case kind == typePubcomp:
		return e.qos == 2 && e.received
	}
	return false
}

// contradict releases a message that the broker has answered although its bytes were never counted as acknowledged.
func (l *ledger) contradict(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.resolved {
		return
	}
	l.stats.Contradictions++
	l.resolve(e, nil)
}

// settle ends the receipt if the proof is complete. Called with mu held.
func (l *ledger) settle(e *entry) bool {
	if e.resolved || !l.proven(e) {
		return false
	}
	l.resolve(e, nil)
	return true
}

// proven is the release policy. Called with mu held.
func (l *ledger) proven(e *entry) bool {
	switch {
	case e.qos == 0:
		return e.acked
	case l.release == ReleaseBroker:
		return e.answered
	case l.release == ReleaseAcked && e.qos == 1:
		return e.acked
	default:
		return e.acked && e.answered
	}
}

// resolve is called with mu held.
func (l *ledger) resolve(e *entry, err error) {
	e.resolved = true
	if e.limit != nil {
		e.limit.Stop()
	}
	if err == nil {
		l.widen(e)
	}
	l.leaveWindow(e)
	delete(l.all, e)
	if err == nil {
		l.stats.Proven++
	} else {
		l.stats.Failed++
	}
	e.receipt.resolve(err)
}

// widen opens the window by what has arrived. Called with mu held, before the message leaves the window.
func (l *ledger) widen(e *entry) {
	if e.inWindow {
		l.opened = min(l.opened+e.bytes, l.maxBytes)
	}
}

// leaveWindow is called with mu held.
func (l *ledger) leaveWindow(e *entry) {
	if !e.inWindow {
		return
	}
	e.inWindow = false
	l.window--
	l.bytes -= e.bytes
	signal(l.room)
}

// prove follows the acknowledged count until the context ends.
func (l *ledger) prove(ctx context.Context, waitAcked func(context.Context, uint64) error) {
	for {
		offset, ok := l.oldest()
		if !ok {
			select {
			case <-l.changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		switch err := waitAcked(ctx, offset); {
		case err == nil:
			if l.ackedTo(offset) {
				l.heard()
			}
		case ctx.Err() != nil:
			return
		case errors.Is(err, errors.ErrUnsupported):
			l.withoutCount()
			return
		default:
			lastWords(ctx)
			l.fail(newError("session", fmt.Errorf("waiting for acknowledged bytes: %w", err)))
			return
		}
	}
}

func (l *ledger) oldest() (offset uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.flying) == 0 {
		return 0, false
	}
	return l.flying[0].end, true
}

// ackedTo notes that the far end's TCP has the bytes, and reports whether that is all of an answer that will come.
func (l *ledger) ackedTo(offset uint64) (whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.flying) > 0 && l.flying[0].end <= offset {
		e := l.flying[0]
		l.flying[0] = nil
		l.flying = l.flying[1:]
		e.acked = true
		whole = whole || e.qos == 0
		l.settle(e)
	}
	return whole
}

// withoutCount is for a platform that cannot count acknowledged bytes: the broker's answer has to do.
func (l *ledger) withoutCount() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noCount = true
	if l.release == ReleaseAcked {
		l.release = ReleaseBroker
	}
	for _, e := range l.flying {
		l.giveUpCount(e)
	}
	l.flying = nil
}

// giveUpCount is called with mu held.
func (l *ledger) giveUpCount(e *entry) {
	if e.qos > 0 {
		e.acked = true
		l.settle(e)
		return
	}
	if !e.resolved {
		l.resolve(e, &Error{Op: "publish", Cause: CauseConfig,
			Err: errors.New("this connection cannot tell which bytes were acknowledged, so QoS 0 can never be proven: use QoS 1")})
	}
}

// end fails every receipt that is not proven. What the broker has answered is proven: it cannot answer bytes that it
// never got, and the acknowledged count of a connection that is gone cannot be asked any more.
func (l *ledger) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return
	}
	l.ended = err
	lost := &Error{Op: "publish", Cause: CauseOf(err), Err: fmt.Errorf("connection ended before the proof: %w", bare(err))}
	for e := range l.all {
		switch {
		case e.resolved:
		case e.answered:
			l.stats.Contradictions++
			l.resolve(e, nil)
		default:
			l.resolve(e, lost)
		}
	}
	l.flying = nil
	signal(l.room)
}
