package agent

import (
	"context"
	"errors"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// gatherer takes messages from a reader and puts those together that travel in one packet. It holds nothing that the queue
// doesn't: what it has gathered when its session ends is read again in the next one.
type gatherer struct {
	reader *queue.Reader
	packer *packer
	queue  *queue.Queue
	skip   map[uint64]bool          // already on their way
	apart  func(queue.Message) bool // what must not travel with others; nil: nothing
	again  time.Duration            // how long to wait until what is held back is looked at again; 0: nothing ever is

	open map[stretch]*bundle
	held *queue.Message // taken from the reader, and next in turn
}

// stretch is a part of the queue that is delivered in order: what is gathered comes from one of them.
type stretch struct {
	lane    queue.Lane
	history bool
}

// bundle is what has been gathered and not sent.
type bundle struct {
	messages []queue.Message
	topics   map[string]bool
	bytes    int
	ripe     bool // it waits for nothing but what is right behind it in the queue
	begun    time.Time
	due      time.Time // by then it goes, whatever comes
}

func newGatherer(q *queue.Queue, p *packer, skip map[uint64]bool) *gatherer {
	return &gatherer{reader: q.Reader(), packer: p, queue: q, skip: skip, open: make(map[stretch]*bundle)}
}

// next returns the messages that travel together next, at least one; it blocks until there are some or ctx ends.
func (g *gatherer) next(ctx context.Context) ([]queue.Message, error) {
	for {
		m, ok, err := g.take()
		if err == nil && !ok {
			if group := g.ripest(); group != nil {
				return group, nil
			}
			m, ok, err = g.wait(ctx)
		}
		if err != nil {
			return nil, err
		}
		if ok && g.apart != nil && g.apart(m) {
			return []queue.Message{m}, nil
		}
		if ok && (m.Lane == queue.Alarm || !g.packer.gathers(&m) && len(g.open) == 0) {
			return []queue.Message{m}, nil
		}
		if group := g.overdue(); group != nil {
			if ok {
				g.held = &m
			}
			return group, nil
		}
		if ok {
			if group := g.add(m); group != nil {
				return group, nil
			}
		}
	}
}

// take is the next message if there is one now.
func (g *gatherer) take() (queue.Message, bool, error) {
	if m := g.held; m != nil {
		g.held = nil
		return *m, true, nil
	}
	for {
		m, ok, err := g.reader.TryNext()
		if !ok || err != nil || !g.skip[m.Seq] {
			return m, ok, err
		}
	}
}

// wait blocks until there is a message, or something that was gathered is due: then ok is false.
func (g *gatherer) wait(ctx context.Context) (m queue.Message, ok bool, err error) {
	var due time.Time
	for _, b := range g.open {
		if at := g.due(b); due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if again := time.Now().Add(g.again); g.again > 0 && (due.IsZero() || again.Before(due)) {
		due = again
	}
	until := ctx
	if !due.IsZero() {
		var cancel context.CancelFunc
		until, cancel = context.WithDeadline(ctx, due)
		defer cancel()
	}
	for {
		m, err = g.reader.Next(until)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			return m, false, nil
		case err != nil:
			return m, false, err
		case !g.skip[m.Seq]:
			return m, true, nil
		}
	}
}

// add puts the message to those before it in its stretch. It returns what has to go now: what was gathered before, if the
// message doesn't go with it, or what is full.
func (g *gatherer) add(m queue.Message) []queue.Message {
	at := stretch{m.Lane, m.History}
	b := g.open[at]
	gathers := g.packer.gathers(&m)
	if b != nil && !(gathers && b.takes(&m, g.packer.cfg)) {
		g.held = &m
		return g.close(at)
	}
	if !gathers {
		return []queue.Message{m}
	}
	if b == nil {
		b = g.begin(m)
		g.open[at] = b
	}
	b.add(m)
	if len(b.messages) >= g.packer.cfg.MaxMessages || b.bytes >= g.packer.cfg.MaxBytes {
		return g.close(at)
	}
	return nil
}

// begin opens a bundle for the message and those that follow it.
func (g *gatherer) begin(m queue.Message) *bundle {
	wait := g.packer.cfg.MaxAge
	b := &bundle{topics: make(map[string]bool), begun: time.Now()}
	if age, ok := g.queue.Age(m); ok && age < wait {
		wait -= max(age, 0) // a machine that was moved while it ran may have less uptime than before
	} else {
		b.ripe, wait = true, max(wait, crowded)
	}
	b.due = b.begun.Add(wait)
	return b
}

// crowded is how long what waits only for those behind it lets other stretches go first: while history and the present are
// delivered beside one another, each fills its own batches.
const crowded = 5 * time.Second

// close ends a bundle and returns what is in it, but what the queue has dropped while it waited; nil if that is all.
func (g *gatherer) close(at stretch) []queue.Message {
	b := g.open[at]
	delete(g.open, at)
	if time.Since(b.begun) < time.Second {
		return b.messages // as with a message that goes at once
	}
	var group []queue.Message
	for _, m := range b.messages {
		if _, err := g.queue.Get(m.Seq); !errors.Is(err, queue.ErrNotFound) {
			group = append(group, m)
		}
	}
	return group
}

// ripest returns what waits only for those behind it, of which there are none; nil if there is no such.
func (g *gatherer) ripest() []queue.Message {
	return g.first(func(b *bundle) bool { return b.ripe })
}

// overdue returns what has waited long enough; nil if there is no such.
func (g *gatherer) overdue() []queue.Message {
	now := time.Now()
	return g.first(func(b *bundle) bool { return !g.due(b).After(now) })
}

// due is when a bundle goes: at once if somebody has asked for that since it was begun.
func (g *gatherer) due(b *bundle) time.Time {
	if b.begun.UnixNano() < g.packer.flush.Load() {
		return b.begun
	}
	return b.due
}

// first closes the most urgent of the bundles that match.
func (g *gatherer) first(match func(*bundle) bool) []queue.Message {
	for _, lane := range queue.Lanes() {
		for _, history := range []bool{false, true} {
			at := stretch{lane, history}
			if b := g.open[at]; b != nil && match(b) {
				if group := g.close(at); group != nil {
					return group
				}
			}
		}
	}
	return nil
}

// takes reports whether the message goes into the bundle with those that are there: the ids in an envelope are of one queue
// and rise, and its readings have one QoS. Brokers keep the order of messages of one QoS only, so that a topic whose readings
// went now at one, now at another would arrive mixed.
func (b *bundle) takes(m *queue.Message, cfg Encoding) bool {
	last := &b.messages[len(b.messages)-1]
	return m.QoS == last.QoS && m.ID.Epoch == last.ID.Epoch && m.ID.Seq > last.ID.Seq && b.bytes+b.size(m) <= cfg.MaxBytes
}

// size is what the message adds: a topic is in a batch once.
func (b *bundle) size(m *queue.Message) int {
	if b.topics[m.Topic] {
		return len(m.Payload)
	}
	return len(m.Topic) + len(m.Payload)
}

func (b *bundle) add(m queue.Message) {
	b.bytes += b.size(&m)
	b.topics[m.Topic] = true
	b.messages = append(b.messages, m)
}
