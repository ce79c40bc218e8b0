package mqttconn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// gatherBytes is how much is put into one write: with the 22 bytes of a TLS record it still fits one segment of 1448
	// bytes and one send of a module, so that small messages share headers, records and send commands.
	gatherBytes = 1400
	// gatherWait is how long a write waits for more messages while others are on their way. The air needs longer for 60
	// bytes. A lone message never waits.
	gatherWait = 20 * time.Millisecond
)

// packet is one packet on its way out.
type packet struct {
	bytes  []byte
	kind   byte
	flight *Flight // to be saved before the packet leaves
	entry  *entry  // the message of a PUBLISH, or of the PUBREL that stands for a resumed one
}

// urgent packets don't wait to be gathered with others.
func (p packet) urgent() bool { return p.kind != typePublish }

// Write takes one packet from Paho. It never blocks.
func (g *guard) Write(p []byte) (int, error) {
	f, err := splitFrame(p)
	if err != nil {
		return 0, g.writeFailed(err)
	}
	out := packet{kind: f.kind(), bytes: slices.Clone(p)}
	switch out.kind {
	case typeConnect:
		promise(out.bytes, g.ping.most)
	case typePublish:
		err = g.publishing(f, &out)
	case typePubrel:
		err = g.releasing(f, &out)
	case typeSubscribe:
		err = g.subscribing(f)
	case typeUnsubscribe:
		err = g.unsubscribing(f)
	}
	if err != nil {
		return 0, g.writeFailed(err)
	}
	if !g.ledger.park(out) && !g.enqueue(out) {
		return 0, errEnded
	}
	return len(p), nil
}

// promise writes the keepalive into a CONNECT, which Paho makes without: then it sends no pings of its own. The field follows
// the fixed header of two bytes or more, the protocol's name, its level and the flags (section 3.1.2).
func promise(connect []byte, keepAlive time.Duration) {
	header := 2
	for connect[header-1]&0x80 != 0 {
		header++
	}
	binary.BigEndian.PutUint16(connect[header+8:], uint16(keepAlive/time.Second))
}

func (g *guard) writeFailed(err error) error {
	g.fail(&Error{Op: "session", Cause: CauseProtocol, Err: fmt.Errorf("the MQTT client wrote %w", err)})
	return errEnded
}

// publishing joins a PUBLISH with its message.
func (g *guard) publishing(f frame, out *packet) error {
	e, err := g.ledger.began(f.publishID(), f.qos(), len(f.bytes))
	if err != nil {
		return err
	}
	out.entry = e
	if e.qos > 0 && !e.resumed {
		out.flight = e.flight()
	}
	return nil
}

// releasing makes sure that the PUBREC is on record before the PUBREL leaves.
func (g *guard) releasing(f frame, out *packet) error {
	e := g.ledger.find(f.id())
	if e == nil {
		return fmt.Errorf("a PUBREL for packet id %d, which is free", f.id())
	}
	out.flight = e.flight()
	out.flight.Received = true
	return nil
}

func (g *guard) subscribing(f frame) error {
	if len(f.body) < 2 {
		return errors.New("a SUBSCRIBE without packet id")
	}
	topics := 0
	for rest := f.body[2:]; len(rest) >= 3; topics++ {
		n := 3 + int(rest[0])<<8 + int(rest[1]) // length, filter, QoS (section 3.8.3)
		if n > len(rest) {
			return errors.New("a SUBSCRIBE with a cut filter")
		}
		rest = rest[n:]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.topics[f.id()] = topics
	return nil
}

func (g *guard) unsubscribing(f frame) error {
	if len(f.body) < 2 {
		return errors.New("an UNSUBSCRIBE without packet id")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.topics[f.id()] = 0
	return nil
}

// enqueue appends a packet; a ping goes first, so that it never waits behind a backlog.
func (g *guard) enqueue(p packet) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended || g.leaving {
		return false
	}
	switch p.kind {
	case typePingreq:
		g.queue = slices.Insert(g.queue, 0, p)
		g.ping.since = time.Now()
		g.stats.Pings++
		g.stats.PingBytes += uint64(len(p.bytes))
	case typeDisconnect:
		g.leaving = true
		g.queue = append(g.queue, p)
	default:
		g.queue = append(g.queue, p)
	}
	signal(g.wake)
	return true
}

// send writes what is queued until the session ends or DISCONNECT has been written.
func (g *guard) send(ctx context.Context) {
	for {
		batch, ok := g.gather(ctx)
		if !ok {
			return
		}
		if err := g.record(ctx, batch); err != nil {
			g.fail(&Error{Op: "session", Cause: CauseJournal, Err: fmt.Errorf("packet ids could not be recorded: %w", err)})
			return
		}
		if err := g.transmit(batch); err != nil {
			lastWords(ctx)
			g.fail(newError("session", fmt.Errorf("writing to %s: %w", g.lower.RemoteAddr(), err)))
			return
		}
		if batch[len(batch)-1].kind == typeDisconnect {
			close(g.flushed)
			return
		}
	}
}

// lastWords leaves the reader time to take the broker's answers that came before the connection broke, each of which
// saves a message from being sent twice. Usually it finds the end at once and ends the session, and so the context.
func lastWords(ctx context.Context) {
	select {
	case <-time.After(5 * time.Second): // a few AT+QIRD
	case <-ctx.Done():
	}
}

// gather waits for packets and takes as many as fit one write.
func (g *guard) gather(ctx context.Context) (batch []packet, ok bool) {
	n, whole := g.ready()
	for n == 0 {
		select {
		case <-g.wake:
		case <-ctx.Done():
			return nil, false
		}
		n, whole = g.ready()
	}
	if !whole && g.ledger.others(n) > 0 {
		timer := time.NewTimer(gatherWait)
		defer timer.Stop()
		for waiting := true; waiting && !whole; {
			select {
			case <-g.wake:
				_, whole = g.ready()
			case <-timer.C:
				waiting = false
			case <-ctx.Done():
				return nil, false
			}
		}
	}
	return g.take()
}

// ready is how many queued packets fit one write, at least one if there is any, and whether waiting for more is pointless.
func (g *guard) ready() (n int, whole bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fit()
}

// fit is called with mu held.
func (g *guard) fit() (n int, whole bool) {
	size := 0
	for _, p := range g.queue {
		size += len(p.bytes)
		if n > 0 && size > gatherBytes {
			return n, true
		}
		n++
		whole = whole || p.urgent()
	}
	return n, whole || size >= gatherBytes
}

// take removes a batch from the queue. For a message that the broker has already received, PUBREL takes the place of the
// PUBLISH: Paho sends the latter all the same, so that the id is taken in its table until PUBCOMP.
func (g *guard) take() (batch []packet, ok bool) {
	g.mu.Lock()
	n, _ := g.fit()
	batch = slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	g.mu.Unlock()
	for i := range batch {
		p := &batch[i]
		if p.kind != typePublish {
			continue
		}
		if released, recorded := g.ledger.leaves(p.entry); released {
			p.kind, p.bytes = typePubrel, pubrel(p.entry.id)
			if !recorded {
				p.flight = p.entry.flight()
				p.flight.Received = true
			}
		}
	}
	return batch, n > 0 // none: the session ended meanwhile
}

// record saves the flights of a batch. The last of QoS 2 is saved durably, and with it all others: one commit a batch.
func (g *guard) record(ctx context.Context, batch []packet) error {
	if g.journal == nil {
		return nil
	}
	var last *Flight
	for _, p := range batch {
		switch {
		case p.flight == nil:
			continue
		case p.entry != nil && p.entry.qos < 2: // qos never changes
			if err := g.journal.Save(ctx, *p.flight, false); err != nil {
				return err
			}
			continue
		case last != nil:
			if err := g.journal.Save(ctx, *last, false); err != nil {
				return err
			}
		}
		last = p.flight
	}
	if last == nil {
		return nil
	}
	return g.journal.Save(ctx, *last, true)
}

// transmit writes a batch in one piece and tells the ledger where it ended. A write that is stuck ends the session, which
// closes the connection and thereby the write.
func (g *guard) transmit(batch []packet) error {
	var out []byte
	var entries []*entry
	for _, p := range batch {
		out = append(out, p.bytes...)
		if p.entry != nil {
			entries = append(entries, p.entry)
		}
	}
	watchdog := time.AfterFunc(g.writeTimeout, func() {
		g.fail(&Error{Op: "session", Cause: CauseTimeout,
			Err: fmt.Errorf("a write to %s was stuck for %v", g.lower.RemoteAddr(), g.writeTimeout)})
	})
	g.speaks()
	err := g.write(out, batch[len(batch)-1].kind == typeDisconnect)
	watchdog.Stop()
	if err != nil {
		return err
	}
	g.air.sent(batch)
	g.ledger.wrote(entries, g.lower.Written())
	return nil
}

// write writes a batch; nothing follows the last one.
func (g *guard) write(out []byte, last bool) error {
	if t, ok := g.conn.(*secureConn); ok && last {
		return t.WriteLast(out)
	}
	_, err := g.conn.Write(out)
	return err
}
