package queue

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// A Reader reads ahead as much as takes a small share of the time of a transaction to copy, and of a small
	// machine's memory to hold.
	aheadMessages = 256
	aheadBytes    = 64 << 10
)

// Reader hands out each message once, in the order of delivery. It starts at the oldest message that was not released.
// It belongs to one goroutine.
type Reader struct {
	q     *Queue
	parts []*part // in the order in which they are asked
	cuts  uint64
	may   func(Lane) bool // nil: every lane
	// Bytes handed out while both history and the present had something, for HistoryShare.
	bytesAll, bytesHistory int64
}

// part is a stretch of a lane that is handed out in order.
type part struct {
	lane    Lane
	last    atomic.Uint64 // the last one handed out
	read    atomic.Uint64 // the last one read ahead
	end     uint64        // the last one that belongs to it
	history bool
	ahead   []Message // read and not handed out: behind last, up to read
}

// holds reports whether the message may be among those read ahead. Any goroutine may ask.
func (r *Reader) holds(seq uint64) bool {
	for _, p := range r.parts {
		if seq > p.last.Load() && seq <= p.read.Load() {
			return true
		}
	}
	return false
}

// Reader returns a cursor for a new session with the broker, which takes the place of the former: from an older Reader
// messages may come that were released meanwhile.
func (q *Queue) Reader() *Reader {
	r := &Reader{q: q}
	for _, l := range Lanes() {
		r.parts = append(r.parts, &part{lane: l, end: math.MaxUint64})
	}
	if q.cfg.Drain == LiveFirst {
		for _, l := range []Lane{Normal, Bulk} {
			r.split(l)
		}
	}
	q.mu.Lock()
	r.cuts, q.reader = q.cuts, r
	q.mu.Unlock()
	return r
}

// Limit makes Next leave out the lanes for which may says no. It is asked again for each message, but a Next that waits
// doesn't notice that it says yes now; nil: no limit.
func (r *Reader) Limit(may func(Lane) bool) { r.may = may }

// split parts the lane at its present end, if its oldest message has waited for HistoryAge.
func (r *Reader) split(l Lane) {
	head, err := r.read(&part{lane: l, end: math.MaxUint64}, 1)
	if err != nil || len(head) == 0 {
		return
	}
	r.q.mu.Lock()
	tail, clk := r.q.lanes[l].Tail, r.q.clock
	r.q.mu.Unlock()
	if age, ok := clk.age(&head[0], time.Now()); ok && age < r.q.cfg.HistoryAge {
		return
	}
	for _, p := range r.parts {
		if p.lane == l && !p.history {
			p.last.Store(tail)
		}
	}
	r.parts = append(r.parts, &part{lane: l, end: tail, history: true})
}

// Next returns the next message; it blocks until there is one, ctx ends or the queue is closed. After a failure of the
// storage it goes on with what can be read, and then returns that failure. A message never comes twice from one Reader.
func (r *Reader) Next(ctx context.Context) (Message, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Message{}, err
		}
		if m, ok, err := r.take(); ok || err != nil {
			return m, err
		}
		changed := r.q.waiter()
		if m, ok, err := r.take(); ok || err != nil { // it came before there was a waiter
			return m, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-r.q.done:
			return Message{}, r.q.Err()
		}
	}
}

// TryNext is Next for those who don't wait: ok is false if there is no message now.
func (r *Reader) TryNext() (m Message, ok bool, err error) { return r.take() }

// take returns the next message if there is one now.
func (r *Reader) take() (Message, bool, error) {
	for {
		live, err := r.pick(false)
		if err != nil {
			return Message{}, false, err
		}
		p := live
		if r.hasHistory() && (live == nil || live.lane != Alarm) {
			past, err := r.pick(true)
			if err != nil {
				return Message{}, false, err
			}
			if p = r.choose(live, past); live == nil || past == nil {
				r.bytesAll, r.bytesHistory = 0, 0
			}
		}
		if p == nil {
			return Message{}, false, nil
		}
		m := p.ahead[0]
		p.ahead = p.ahead[1:]
		p.last.Store(m.Seq)
		// What is on its way for the first time may arrive yet; what was tried in vain has had its time.
		if reason := r.overdue(&m); reason != "" && !(m.Attempts == 0 && r.q.flying(m.Seq)) {
			if err := r.q.Drop(reason, m.Seq); err != nil {
				return Message{}, false, err
			}
			continue
		}
		m.History = p.history
		r.count(&m)
		return m, true, nil
	}
}

// choose decides between the present and history, which have a message each unless nil.
func (r *Reader) choose(live, past *part) *part {
	switch {
	case live == nil:
		return past
	case past == nil:
		return live
	case r.bytesHistory*100 < r.bytesAll*int64(r.q.cfg.HistoryShare):
		return past
	}
	return live
}

func (r *Reader) count(m *Message) {
	size := int64(len(m.Payload) + len(m.Topic))
	r.bytesAll += size
	if m.History {
		r.bytesHistory += size
	}
}

// isHistory reports whether the message belongs to the history that this Reader found. Any goroutine may ask.
func (r *Reader) isHistory(seq uint64) bool {
	if !r.hasHistory() {
		return false
	}
	m, err := r.q.Get(seq)
	return err == nil && slices.ContainsFunc(r.parts, func(p *part) bool { return p.history && p.lane == m.Lane && seq <= p.end })
}

func (r *Reader) hasHistory() bool { return len(r.parts) > len(Lanes()) }

func (r *Reader) overdue(m *Message) Reason {
	if m.Expires.IsZero() && r.q.cfg.MaxAge == 0 {
		return ""
	}
	r.q.mu.Lock()
	clk := r.q.clock
	r.q.mu.Unlock()
	return clk.overdue(m, r.q.cfg.MaxAge, time.Now())
}

// pick returns the first part, of history or of the present, that has a message, and reads it ahead.
func (r *Reader) pick(history bool) (*part, error) {
	r.q.mu.Lock()
	lanes, cuts := r.q.lanes, r.q.cuts
	r.q.mu.Unlock()
	if cuts != r.cuts { // messages were dropped: some of those read ahead may be among them
		for _, p := range r.parts {
			p.ahead = nil
		}
		r.cuts = cuts
	}
	for _, p := range r.parts {
		if p.history != history || r.may != nil && !r.may(p.lane) {
			continue
		}
		for len(p.ahead) == 0 && lanes[p.lane].Tail > p.last.Load() && p.last.Load() < p.end {
			ahead, err := r.read(p, aheadMessages)
			if err != nil {
				return nil, err
			}
			if len(ahead) == 0 {
				break
			}
			p.ahead = ahead
			p.read.Store(ahead[len(ahead)-1].Seq)
		}
		if len(p.ahead) > 0 {
			return p, nil
		}
	}
	return nil, nil
}

// read copies messages of the part from behind p.last, leaving out those that are to go. A record that fails its checksum
// is dropped and counted.
func (r *Reader) read(p *part, most int) ([]Message, error) {
	for {
		// Taken before the read: what is removed from here on may still be handed out, once.
		removed := r.q.removed()
		got, err := r.scan(p, most, removed)
		if err != nil {
			return nil, err
		}
		if len(got.bad) > 0 {
			if err := r.q.Drop(ReasonDamaged, got.bad...); err != nil {
				return nil, err
			}
		}
		if len(got.ahead) > 0 || !got.more {
			return got.ahead, nil
		}
		p.last.Store(got.last) // a stretch of nothing but messages that are to go
	}
}

// stretch is what one transaction has read.
type stretch struct {
	ahead []Message
	bad   []uint64 // records that fail their checksum
	last  uint64   // the last one looked at
	more  bool
}

func (r *Reader) scan(p *part, most int, removed map[uint64]struct{}) (got stretch, err error) {
	got.last = p.last.Load()
	err = r.q.view(func(tx *bbolt.Tx) error {
		view := r.q.viewTables()
		end := min(p.end, view.lanes[p.lane].Tail)
		size := 0
		c := tx.Bucket(laneBucket(p.lane)).Cursor()
		for k, v := c.Seek(appendKey(nil, got.last+1)); k != nil; k, v = c.Next() {
			seq, err := parseKey(k)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			if seq > end {
				return nil
			}
			if len(got.ahead) >= most || size >= aheadBytes || len(got.bad) >= most {
				got.more = true
				return nil
			}
			got.last = seq
			if _, ok := removed[seq]; ok {
				continue
			}
			m, err := view.decode(seq, v)
			if err != nil {
				got.bad = append(got.bad, seq)
				continue
			}
			got.ahead = append(got.ahead, m)
			size += len(v)
		}
		return nil
	})
	return got, err
}
