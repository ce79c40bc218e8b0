package agent

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/queue"
)

// Format is the form in which messages travel.
type Format string

const (
	FormatPlain    Format = "plain"    // the payload as the source gave it
	FormatEnvelope Format = "envelope" // each message in an envelope with id, time and checksum, under its own topic
	FormatBatch    Format = "batch"    // several messages in an envelope, under a topic for batches
)

// Encoding says how messages are put into packets. The zero value sends them plain.
//
// With FormatBatch messages of the same lane wait for one another, in the queue's order. A message that is older than MaxAge
// when it is its turn, as those of a backlog, waits for nothing but those right behind it. Alarms never wait. Retained
// messages go plain, under their own topic.
type Encoding struct {
	Format     Format               // "": FormatPlain
	Dictionary *envelope.Dictionary // to compress with; nil: no compression
	Topic      string               // of batches; required with FormatBatch
	Bare       []string             // sources whose messages always travel plain, under their own topics

	MaxMessages int           // in a batch; 0 means 50
	MaxBytes    int           // of topics and payloads in a batch, before compression; 0 means 4096; a larger message goes alone
	MaxAge      time.Duration // how long a message waits for others after it was taken in; 0: not at all
}

func (e Encoding) withDefaults() Encoding {
	if e.Format == "" {
		e.Format = FormatPlain
	}
	if e.MaxMessages <= 0 {
		e.MaxMessages = 50
	}
	e.MaxMessages = min(e.MaxMessages, envelope.MaxReadings)
	if e.MaxBytes <= 0 {
		e.MaxBytes = 4096
	}
	return e
}

// Parcel is what one PUBLISH carries: a message as it is, or several that were put into one.
type Parcel struct {
	queue.Message          // as it is published; its Seq is that of the first of the messages in it
	More          []uint64 // the sequences of the others
}

// members are the sequences of all messages in the parcel.
func (p *Parcel) members() []uint64 { return append([]uint64{p.Seq}, p.More...) }

// packer puts messages into parcels. It belongs to the goroutine that supervises the link, but for flush.
type packer struct {
	flush   atomic.Int64 // what was gathered until then, in Unix nanoseconds, need not wait for more
	cfg     Encoding
	device  string
	encoder *envelope.Encoder
}

func newPacker(cfg Encoding, device string) *packer {
	return &packer{cfg: cfg, device: device, encoder: envelope.NewEncoder(cfg.Dictionary)}
}

// gathers reports whether the message may share a parcel with others; not with an attempt in vain, for then it may be poison.
func (p *packer) gathers(m *queue.Message) bool {
	return p.cfg.Format == FormatBatch && !m.Retain && m.Lane != queue.Alarm && m.Attempts == 0 && !p.bare(m)
}

// bare reports whether the message travels plain in any case.
func (p *packer) bare(m *queue.Message) bool {
	return p.cfg.Format == FormatPlain || p.cfg.Format == FormatBatch && m.Retain || slices.Contains(p.cfg.Bare, m.Source)
}

// pack makes parcels of messages that the gatherer has put together: one, or one for each if they can't share one. sizes are
// what the messages in each would take plain, in topics and payloads.
func (p *packer) pack(group []queue.Message) (parcels []Parcel, sizes []int) {
	if parcel, err := p.together(group); err == nil {
		return []Parcel{parcel}, []int{plainSize(group)}
	}
	for i := range group {
		one := group[i : i+1]
		parcel, err := p.together(one)
		if err != nil {
			parcel = Parcel{Message: one[0]} // too large, or of a time that no envelope can hold: better plain than never
		}
		parcels, sizes = append(parcels, parcel), append(sizes, plainSize(one))
	}
	return parcels, sizes
}

// together puts the messages into one parcel. A parcel that was published and not proved is made again in the same way.
func (p *packer) together(group []queue.Message) (Parcel, error) {
	first := group[0]
	batch := p.cfg.Format == FormatBatch || len(group) > 1
	if len(group) == 1 && p.bare(&first) {
		return Parcel{Message: first}, nil
	}
	if batch && p.cfg.Topic == "" {
		return Parcel{}, errors.New("agent: no topic for batches")
	}
	m := envelope.Message{Device: p.device, Epoch: first.ID.Epoch, Batch: batch}
	parcel := Parcel{Message: first}
	for i := range group {
		member := &group[i]
		if member.ID.Epoch != first.ID.Epoch {
			return Parcel{}, errors.New("agent: messages of two queues don't share an envelope")
		}
		r := envelope.Reading{Seq: member.ID.Seq, Time: member.Time, Quality: quality(member.Trust), Payload: member.Payload}
		if batch {
			r.Topic = member.Topic
		}
		m.Readings = append(m.Readings, r)
		parcel.QoS = max(parcel.QoS, member.QoS)
		if i > 0 {
			parcel.More = append(parcel.More, member.Seq)
		}
	}
	var err error
	if parcel.Payload, err = p.encoder.Encode(m); err != nil {
		return Parcel{}, err
	}
	if batch {
		parcel.Topic, parcel.Retain = p.cfg.Topic, false
	}
	return parcel, nil
}

func quality(t queue.Trust) envelope.Quality {
	switch t {
	case queue.TrustKnown:
		return envelope.QualityKnown
	case queue.TrustGuessed:
		return envelope.QualityGuessed
	}
	return envelope.QualityUnknown
}

// plainSize is what the messages would take plain, in topics and payloads.
func plainSize(group []queue.Message) (n int) {
	for i := range group {
		n += len(group[i].Topic) + len(group[i].Payload)
	}
	return n
}

// again makes the parcel of a flight anew, of those of its messages that are still there.
func (p *packer) again(f queue.Flight, group []queue.Message) (Parcel, error) {
	parcel, err := p.together(group)
	if err != nil && len(group) == 1 {
		parcel, err = Parcel{Message: group[0]}, nil
	}
	if f.More != nil {
		parcel.Seq, parcel.More = f.Seq, slices.Clone(f.More)
	}
	return parcel, err
}
