package usage

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/keep"
)

const (
	keptDays   = 35 // a month, and some days to compare
	keptMonths = 13 // a year, and this month's last one
	// keptPrefixes bounds what a day and a month distinguish by topic: the file and the metrics stay small.
	keptPrefixes = 16
	// otherPrefix gathers the topics beyond it.
	otherPrefix = "(other)"
)

// Bytes are IP packets' bytes of one direction, by cause.
type Bytes struct {
	Payload   int64 `json:"payload_bytes"`
	Topic     int64 `json:"topic_bytes"`
	MQTT      int64 `json:"mqtt_bytes"`
	TLS       int64 `json:"tls_bytes"`
	TCPIP     int64 `json:"tcp_ip_bytes"` // estimated
	Keepalive int64 `json:"keepalive_bytes"`
	Connect   int64 `json:"connect_bytes"`
	Repeats   int64 `json:"repeats_bytes"`
}

// Cause is a name and a field of [Bytes].
type Cause struct {
	Name  string
	Bytes int64
}

// Causes lists the fields in the order in which a person reads them.
func (b Bytes) Causes() []Cause {
	return []Cause{{"payload", b.Payload}, {"topic", b.Topic}, {"mqtt", b.MQTT}, {"tls", b.TLS}, {"tcp_ip", b.TCPIP},
		{"keepalive", b.Keepalive}, {"connect", b.Connect}, {"repeats", b.Repeats}}
}

// Total is the sum of all causes.
func (b Bytes) Total() (sum int64) {
	for _, c := range b.Causes() {
		sum += c.Bytes
	}
	return sum
}

// Plus adds two counts.
func (b Bytes) Plus(o Bytes) Bytes { return b.combine(o, 1) }

func (b Bytes) minus(o Bytes) Bytes { return b.combine(o, -1) }

func (b Bytes) combine(o Bytes, sign int64) Bytes {
	return Bytes{b.Payload + sign*o.Payload, b.Topic + sign*o.Topic, b.MQTT + sign*o.MQTT, b.TLS + sign*o.TLS,
		b.TCPIP + sign*o.TCPIP, b.Keepalive + sign*o.Keepalive, b.Connect + sign*o.Connect, b.Repeats + sign*o.Repeats}
}

// Span is what was counted in a day or a month.
type Span struct {
	From     string           `json:"from"` // its first day, as 2026-03-01
	Up       Bytes            `json:"up"`
	Down     Bytes            `json:"down"`
	Messages int64            `json:"messages"`              // PUBLISH packets that left, repeats included
	Prefixes map[string]int64 `json:"topic_bytes_by_prefix"` // the bytes of those packets, by the first two levels of their topics
}

// Total is the sum of both directions.
func (s Span) Total() int64 { return s.Up.Total() + s.Down.Total() }

func (s Span) clone() Span {
	s.Prefixes = maps.Clone(s.Prefixes)
	return s
}

func (s *Span) published(prefix string, bytes int64) {
	s.Messages++
	if s.Prefixes == nil {
		s.Prefixes = make(map[string]int64)
	}
	if _, known := s.Prefixes[prefix]; !known && len(s.Prefixes) >= keptPrefixes {
		prefix = otherPrefix
	}
	s.Prefixes[prefix] += bytes
}

func (s *Span) add(o Span) {
	s.Up, s.Down = s.Up.Plus(o.Up), s.Down.Plus(o.Down)
	s.Messages += o.Messages
	for p, n := range o.Prefixes {
		if _, known := s.Prefixes[p]; !known && len(s.Prefixes) >= keptPrefixes {
			p = otherPrefix
		}
		if s.Prefixes == nil {
			s.Prefixes = make(map[string]int64)
		}
		s.Prefixes[p] += n
	}
}

// book is the file.
type book struct {
	Days    []Span `json:"days"`    // oldest first
	Months  []Span `json:"months"`  // oldest first
	Undated Span   `json:"undated"` // counted while the time was not known
}

// Ledger is the account.
type Ledger struct {
	path   string
	budget Budget

	mu       sync.Mutex
	book     book
	up, down Bytes // the counters when they were last taken
	now      time.Time
	known    bool
	changed  bool
	unsaved  int64 // bytes since the last Save
	wasHeld  Hold  // at the last Save

	due chan struct{} // capacity 1
}

// Open reads the account in the file at path; "" keeps none. The Ledger is usable also when there is an error: then it begins
// anew.
func Open(path string, budget Budget) (*Ledger, error) {
	l := &Ledger{path: path, budget: budget.withDefaults(), due: make(chan struct{}, 1)}
	if path == "" {
		return l, nil
	}
	err := keep.Load(path, &l.book)
	l.wasHeld = l.Standing().Hold
	return l, err
}

// Take brings the account up to date: up and down are counters of the whole run of the agent. known says whether now is to be
// believed.
func (l *Ledger) Take(now time.Time, known bool, up, down Bytes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.known = now, known
	moreUp, moreDown := up.minus(l.up), down.minus(l.down)
	l.up, l.down = up, down
	l.note(func(s *Span) { s.Up, s.Down = s.Up.Plus(moreUp), s.Down.Plus(moreDown) }, moreUp != Bytes{} || moreDown != Bytes{})
	l.unsaved += moreUp.Total() + moreDown.Total()
	if l.unsaved >= l.budget.worthSaving() || l.standing().Hold != l.wasHeld {
		select {
		case l.due <- struct{}{}:
		default:
		}
	}
}

// Due gets a value when the account is to be saved before its usual time: what a power cut would take from it has grown to 64 KiB
// or a hundredth of the budget, or messages are held from now on, or no longer.
func (l *Ledger) Due() <-chan struct{} { return l.due }

// Published notes a message that leaves.
func (l *Ledger) Published(topic string, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(func(s *Span) { s.published(prefixOf(topic), int64(bytes)) }, true)
}

// prefixOf is the first two levels of a topic.
func prefixOf(topic string) string {
	levels := strings.SplitN(topic, "/", 3)
	return strings.Join(levels[:min(2, len(levels))], "/")
}

// note enters something at the present day and month. It is called with mu held.
func (l *Ledger) note(enter func(*Span), change bool) {
	l.changed = l.changed || change
	if !l.known {
		enter(&l.book.Undated)
		return
	}
	day := at(&l.book.Days, dateOf(l.now.In(l.budget.Zone)), keptDays)
	month := at(&l.book.Months, dateOf(l.budget.monthOf(l.now)), keptMonths)
	if u := l.book.Undated; u.Messages > 0 || u.Total() != 0 {
		day.add(u)
		month.add(u)
		l.book.Undated = Span{}
	}
	enter(day)
	enter(month)
}

// at returns the span that begins on the given day, making it where there is none.
func at(spans *[]Span, from string, most int) *Span {
	i, found := slices.BinarySearchFunc(*spans, from, func(s Span, from string) int { return strings.Compare(s.From, from) })
	if !found {
		*spans = slices.Insert(*spans, i, Span{From: from})
		if over := len(*spans) - most; over > 0 && i >= over {
			*spans = slices.Delete(*spans, 0, over)
			i -= over
		}
	}
	return &(*spans)[i]
}

func dateOf(t time.Time) string { return t.Format(time.DateOnly) }

// Save writes the file if anything has changed. It blocks on the disk.
func (l *Ledger) Save() error {
	l.mu.Lock()
	changed, unsaved, held := l.changed, l.unsaved, l.standing().Hold
	l.changed, l.unsaved = false, 0
	copied := book{Days: cloneAll(l.book.Days), Months: cloneAll(l.book.Months), Undated: l.book.Undated.clone()}
	l.mu.Unlock()
	if !changed || l.path == "" {
		return nil
	}
	err := keep.Save(l.path, copied)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil { // the next time tries again
		l.changed = true
		l.unsaved += unsaved
		return err
	}
	l.wasHeld = held
	return nil
}

func cloneAll(spans []Span) []Span {
	list := []Span{}
	for _, s := range spans {
		list = append(list, s.clone())
	}
	return list
}
