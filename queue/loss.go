package queue

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Reason is why messages were dropped.
type Reason string

const (
	ReasonFull    Reason = "full"    // made room at MaxBytes
	ReasonAge     Reason = "age"     // older than MaxAge
	ReasonExpired Reason = "expired" // past their own expiry
	ReasonPoison  Reason = "poison"  // can't be delivered, whatever is tried
	ReasonPurged  Reason = "purged"  // an operator's wish
	ReasonDamaged Reason = "damaged" // the record failed its checksum
)

// Receipt is the payload, as JSON, of a loss receipt: a message on Config.LossTopic, in the alarm lane at QoS 1, that
// tells what was dropped since the last one for the same reason and lane.
type Receipt struct {
	Schema      int       `json:"schema"` // 1
	Reason      Reason    `json:"reason"`
	Lane        string    `json:"lane"`
	TopicPrefix string    `json:"topic_prefix"` // the levels that all their topics share
	Messages    uint64    `json:"messages"`
	Bytes       int64     `json:"bytes"`
	FirstTime   time.Time `json:"first_time"` // of the messages, as far as their clock was known
	LastTime    time.Time `json:"last_time"`
	FirstID     string    `json:"first_id"`
	LastID      string    `json:"last_id"`
}

// loss is what was dropped for one reason from one lane.
type loss struct {
	Total uint64   `json:"total"`          // since the file was made
	Open  *Receipt `json:"open,omitempty"` // not reported yet
}

type lossKey struct {
	reason Reason
	lane   Lane
}

func (k lossKey) bytes() []byte { return []byte(string(k.reason) + "/" + k.lane.String()) }

// lossTable is replaced as a whole when something changes in it, and so are its entries.
type lossTable map[lossKey]loss

func loadLosses(b *bbolt.Bucket) lossTable {
	table := lossTable{}
	b.ForEach(func(k, v []byte) error {
		reason, name, _ := strings.Cut(string(k), "/")
		lane, err := ParseLane(name)
		var l loss
		if err == nil && json.Unmarshal(v, &l) == nil {
			table[lossKey{Reason(reason), lane}] = l
		}
		return nil
	})
	return table
}

func (table lossTable) save(b *bbolt.Bucket) error {
	for k, l := range table {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		if err := b.Put(k.bytes(), text); err != nil {
			return err
		}
	}
	return nil
}

// open reports whether there is a loss to report.
func (table lossTable) open() bool {
	for _, l := range table {
		if l.Open != nil {
			return true
		}
	}
	return false
}

// noteLoss counts a record that is dropped.
func (t *txn) noteLoss(reason Reason, lane Lane, seq uint64, rec []byte) {
	m, err := decodeRecord(seq, rec, t.q.origins.at)
	if err != nil {
		m = Message{Seq: seq, Lane: lane}
	}
	t.correct(&m)
	if m.ID == (ID{}) {
		m.ID = ID{t.q.store.Load().epoch, seq}
	}
	t.addLoss(reason, lane, &m)
}

func (t *txn) addLoss(reason Reason, lane Lane, m *Message) {
	if !t.lost {
		t.losses, t.lost = maps.Clone(t.losses), true
	}
	key := lossKey{reason, lane}
	l := t.losses[key]
	r := Receipt{Schema: 1, Reason: reason, Lane: lane.String(), TopicPrefix: m.Topic, FirstTime: m.Time, FirstID: m.ID.String()}
	if l.Open != nil {
		r = *l.Open
	}
	r.Messages++
	r.Bytes += int64(len(m.Payload))
	r.TopicPrefix = commonLevels(r.TopicPrefix, m.Topic)
	r.LastTime, r.LastID = m.Time, m.ID.String()
	l.Total++
	l.Open = &r
	t.losses[key] = l
}

// commonLevels returns the leading topic levels that a and b share.
func commonLevels(a, b string) string {
	if a == b {
		return a
	}
	la, lb := strings.Split(a, "/"), strings.Split(b, "/")
	n := 0
	for n < min(len(la), len(lb)) && la[n] == lb[n] {
		n++
	}
	return strings.Join(la[:n], "/")
}

// reportLosses turns what was lost into messages. Those that find no room stay open for the next time.
func (t *txn) reportLosses() error {
	if !t.lossDue || t.full || !t.losses.open() {
		return nil
	}
	open := t.losses // losses that the receipts themselves cause are reported next time
	keys := slices.SortedFunc(maps.Keys(open), func(a, b lossKey) int { return strings.Compare(string(a.bytes()), string(b.bytes())) })
	for _, key := range keys {
		l := open[key]
		if l.Open == nil {
			continue
		}
		text, err := json.Marshal(l.Open)
		if err != nil {
			return fmt.Errorf("loss receipt: %w", err)
		}
		_, err = t.put([]Message{{Lane: Alarm, Topic: t.q.cfg.LossTopic, QoS: 1, Source: "queue", Payload: text}}, false)
		if errors.Is(err, ErrFull) {
			continue
		}
		if err != nil {
			return err
		}
		t.closeReceipt(key, l.Open)
	}
	return nil
}

// closeReceipt takes the reported part away. Putting the receipt may have dropped more of the same kind; that part stays.
func (t *txn) closeReceipt(key lossKey, reported *Receipt) {
	if !t.lost {
		t.losses, t.lost = maps.Clone(t.losses), true
	}
	l := t.losses[key]
	if l.Open == reported {
		l.Open = nil
	} else {
		r := *l.Open
		r.Messages -= reported.Messages
		r.Bytes -= reported.Bytes
		r.FirstTime, r.FirstID = reported.LastTime, reported.LastID
		l.Open = &r
	}
	t.losses[key] = l
}

// list returns the totals, lane by lane.
func (table lossTable) list() []Loss {
	var list []Loss
	for k, l := range table {
		list = append(list, Loss{k.reason, k.lane, l.Total})
	}
	slices.SortFunc(list, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}
