package reading

import (
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/queue"
)

// Payload is the form of a message.
type Payload uint8

const (
	Plain   Payload = iota // the value itself: 21.5
	Stamped                // with its time: {"value":21.5,"time":"2026-05-01T10:00:00.000Z"}
)

// Rule says what becomes of the readings of one source.
type Rule struct {
	Device, Source string // {device} and {source} of the topic
	Topic          Template
	Lane           queue.Lane // 0: normal
	QoS            byte
	Payload        Payload
	Origin         string // queue.Message.Source

	Change     bool          // values that have not changed are left out
	Deadband   float64       // changes smaller than this are none; above 0 it implies Change
	MaxSilence time.Duration // even an unchanged value is sent after that long; 0: never
	Spacing    time.Duration // shortest time between two messages of one topic; 0: none
}

// A Maker makes messages of sets, and leaves out what the rule's filters hold
// back. What it makes counts as sent once Commit was called.
type Maker struct {
	rule    Rule
	splits  bool
	filters bool
	sent    map[string]sent // by topic
	pending map[string]sent // made since the last Commit
}

// sent is the last message of a topic.
type sent struct {
	at     time.Time
	fields []Field
}

// maxTopics bounds the memory of the filters. Topics beyond it pass unfiltered.
const maxTopics = 4096

// NewMaker makes a Maker that has sent nothing yet.
func NewMaker(rule Rule) *Maker {
	return &Maker{
		rule:    rule,
		splits:  rule.Topic.splits(),
		filters: rule.Change || rule.Deadband > 0 || rule.Spacing > 0,
		sent:    make(map[string]sent),
		pending: make(map[string]sent),
	}
}

// Make returns the messages of a set that was read now; there are none if the
// filters hold all of them back. The trust is that of the clock that shows now.
func (m *Maker) Make(set Set, now time.Time, trust queue.Trust) ([]queue.Message, error) {
	if !m.splits {
		msg, err := m.message(set, set.Fields, now, trust)
		if msg == nil || err != nil {
			return nil, err
		}
		return []queue.Message{*msg}, nil
	}
	var msgs []queue.Message
	for i := range set.Fields {
		msg, err := m.message(set, set.Fields[i:i+1], now, trust)
		if err != nil {
			return nil, err
		}
		if msg != nil {
			msgs = append(msgs, *msg)
		}
	}
	return msgs, nil
}

// Commit says that what was made since the last Commit is stored.
func (m *Maker) Commit() {
	for topic, s := range m.pending {
		if _, known := m.sent[topic]; known || len(m.sent) < maxTopics {
			m.sent[topic] = s
		}
	}
	clear(m.pending)
}

// Rollback says that it is not, and never will be.
func (m *Maker) Rollback() { clear(m.pending) }

// message returns the message of some fields of a set; nil if it is held back.
func (m *Maker) message(set Set, fields []Field, now time.Time, trust queue.Trust) (*queue.Message, error) {
	topic, err := m.rule.Topic.expand(func(name string) string {
		switch name {
		case "device":
			return m.rule.Device
		case "source":
			return m.rule.Source
		case FieldName:
			if fields[0].Name == "" {
				return "value"
			}
			return fields[0].Name
		}
		return set.Labels[name]
	})
	if err != nil {
		return nil, err
	}
	if m.filters {
		if m.holds(topic, fields, now) {
			return nil, nil
		}
		m.pending[topic] = sent{now, fields}
	}
	msg := &queue.Message{Topic: topic, Lane: m.rule.Lane, QoS: m.rule.QoS, Source: m.rule.Origin}
	if !set.Time.IsZero() {
		msg.Time, msg.Trust = set.Time, queue.TrustKnown // who names a time vouches for it
		now, trust = set.Time, queue.TrustKnown
	}
	msg.Payload = m.payload(fields, now, trust)
	return msg, nil
}

// holds reports whether the filters keep the fields from being sent.
func (m *Maker) holds(topic string, fields []Field, now time.Time) bool {
	last, ok := m.pending[topic]
	if !ok {
		last, ok = m.sent[topic]
	}
	if !ok {
		return false
	}
	silence := now.Sub(last.at)
	switch {
	case silence < m.rule.Spacing:
		return true
	case !m.rule.Change && m.rule.Deadband == 0:
		return false
	case m.rule.MaxSilence > 0 && silence >= m.rule.MaxSilence:
		return false
	case len(fields) != len(last.fields):
		return false
	}
	for i, f := range fields {
		if f.Name != last.fields[i].Name || f.Value.differs(last.fields[i].Value, m.rule.Deadband) {
			return false
		}
	}
	return true
}

func (m *Maker) payload(fields []Field, now time.Time, trust queue.Trust) []byte {
	single := m.splits || len(fields) == 1 && fields[0].Name == ""
	if single && m.rule.Payload == Plain {
		return []byte(fields[0].Value.String())
	}
	var b strings.Builder
	if m.rule.Payload == Stamped {
		b.WriteString(`{"value":`)
	}
	if single {
		b.WriteString(fields[0].Value.JSON())
	} else {
		writeObject(&b, fields)
	}
	if m.rule.Payload == Stamped {
		b.WriteString(`,"time":`)
		if trust == queue.TrustUnknown {
			b.WriteString("null")
		} else {
			b.WriteString(now.UTC().Format(`"2006-01-02T15:04:05.000Z"`))
		}
		b.WriteByte('}')
	}
	return []byte(b.String())
}

func writeObject(b *strings.Builder, fields []Field) {
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		name := f.Name
		if name == "" {
			name = "value"
		}
		b.WriteString(quote(name))
		b.WriteByte(':')
		b.WriteString(f.Value.JSON())
	}
	b.WriteByte('}')
}
