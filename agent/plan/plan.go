package plan

import (
	"math"
	"time"

	"github.com/fieldpost/fieldpost/agent/usage"
)

// Month is the month of a plan.
const Month = 30 * 24 * time.Hour

// Flow is one kind of readings.
type Flow struct {
	Topic   string        `json:"topic"`
	Every   time.Duration `json:"-"`             // between two of them
	Seconds float64       `json:"every_seconds"` // the same
	Payload int           `json:"payload_bytes"`
}

// Input is what a plan is made from.
type Input struct {
	Flows      []Flow
	QoS        int
	TLS        bool
	Keepalive  time.Duration // a ping after so long a silence
	Reconnects float64       // connections a day

	BatchMessages int           // most readings in a message; 0 or 1: each by itself
	BatchBytes    int           // of topics and payloads in it
	BatchAge      time.Duration // how long the first one waits for others
	Shrink        float64       // bytes of a batch or payload after encoding, by bytes before; 0: 1

	QueueBytes int64
	QueueAge   time.Duration
	CommitWait time.Duration
}

// Result is what it comes to.
type Result struct {
	Messages    int64       `json:"messages_per_month"`  // readings
	Packets     int64       `json:"publishes_per_month"` // PUBLISH packets that carry them
	Up          usage.Bytes `json:"up"`
	Down        usage.Bytes `json:"down"`
	Total       int64       `json:"bytes_per_month"`
	BufferDays  float64     `json:"buffer_days"`             // without coverage, until readings are dropped
	BufferBound string      `json:"buffer_bound"`            // what ends it: "bytes" or "age"
	Flash       int64       `json:"flash_bytes_per_month"`   // written to the medium
	FlashEach   int64       `json:"flash_bytes_per_message"` // of it
}

// What packets cost.
const (
	headers = 40 // IPv4 and TCP
	record  = 22 // TLS 1.3 around a write: header, type, tag
	segment = 1400
	// together is how close readings have to come to share a segment and an acknowledgement: a round trip of GPRS, with what
	// the module takes to ask.
	together = time.Second
)

// Measured costs of a connection until the CONNACK and its end, as IP packets.
const (
	connectUp, connectDown       = 200 + 60, 204 + 80
	handshakeUp, handshakeDown   = 850, 770 // a resumed TLS 1.3 handshake with Mosquitto, acknowledgements included
	pingBytes                    = 2
	recordOverhead, flashPerSync = 33, 20_900
)

// Of is the plan for an input.
func Of(in Input) Result {
	if in.Shrink == 0 {
		in.Shrink = 1
	}
	var r Result
	var rate, payload, topic float64 // readings a second, bytes a second
	for _, f := range in.Flows {
		per := 1 / f.Every.Seconds()
		rate += per
		payload += per * float64(f.Payload)
		topic += per * float64(len(f.Topic))
	}
	if rate > 0 {
		in.add(&r, rate, payload/rate, topic/rate)
	}
	in.connections(&r)
	r.Total = r.Up.Total() + r.Down.Total()
	return r
}

// add counts readings that come at a rate, of mean sizes.
func (in Input) add(r *Result, rate, payload, topic float64) {
	seconds := Month.Seconds()
	r.Messages = int64(math.Round(rate * seconds))
	gathered := in.gathered(rate, payload+topic)
	publishes := rate / gathered * seconds
	r.Packets = int64(publishes)
	if gathered > 1 {
		payload = (payload + 3) * gathered * in.Shrink // 3: length and time of each in a batch
	} else {
		payload *= in.Shrink
	}
	r.Up.Payload, r.Up.Topic = int64(publishes*payload), int64(publishes*topic)

	fixed := 2 + 2.0 // type and length, length of the topic
	if 2+topic+payload+2 > 127 {
		fixed++
	}
	if in.QoS > 0 {
		fixed += 2
	}
	// What comes together shares segments and acknowledgements.
	perSecond := publishes / seconds * together.Seconds()
	share := math.Max(1, math.Min(perSecond, segment/(fixed+topic+payload)))
	answers, up, down := in.packets()
	r.Up.MQTT = int64(publishes * (fixed + 4*math.Max(0, answers-1)))
	r.Down.MQTT = int64(publishes * 4 * math.Min(2, answers+math.Floor(answers/2)))
	if in.QoS == 2 {
		r.Up.MQTT, r.Down.MQTT = int64(publishes*(fixed+4)), int64(publishes*8)
	}
	large := math.Ceil((fixed + topic + payload) / segment)
	r.Up.TCPIP = int64(publishes / share * headers * (up + large - 1))
	r.Down.TCPIP = int64(publishes / share * headers * down)
	if in.TLS {
		r.Up.TLS = int64(publishes / share * record * math.Max(1, float64(in.QoS)))
		r.Down.TLS = int64(publishes * record * float64(in.QoS))
	}
	in.pings(r, rate/gathered)
	in.storage(r, rate, payload/gathered+topic)
}

// packets of a lone PUBLISH: the broker's answers (and ours), and segments each way, bare acknowledgements among them.
func (in Input) packets() (answers, up, down float64) {
	switch in.QoS {
	case 0:
		return 0, 1, 1
	case 1:
		return 1, 2, 1 // PUBLISH and the acknowledgement of PUBACK
	}
	return 2, 3, 2 // PUBLISH, PUBREL and the acknowledgement of PUBCOMP
}

// gathered is how many readings travel in one message.
func (in Input) gathered(rate, size float64) float64 {
	if in.BatchMessages <= 1 {
		return 1
	}
	n := math.Min(float64(in.BatchMessages), 1+math.Floor(rate*in.BatchAge.Seconds()))
	return math.Max(1, math.Min(n, math.Floor(float64(in.BatchBytes)/size)))
}

// pings come in silences only.
func (in Input) pings(r *Result, rate float64) {
	if in.Keepalive <= 0 {
		return
	}
	each := math.Floor(1 / rate / in.Keepalive.Seconds())
	in.countPings(r, each*rate*Month.Seconds())
}

func (in Input) countPings(r *Result, n float64) {
	r.Up.Keepalive, r.Down.Keepalive = int64(n*pingBytes), int64(n*pingBytes)
	r.Up.TCPIP += int64(n * 2 * headers)
	r.Down.TCPIP += int64(n * headers)
	if in.TLS {
		r.Up.TLS += int64(n * record)
		r.Down.TLS += int64(n * record)
	}
}

func (in Input) connections(r *Result) {
	if len(in.Flows) == 0 && in.Keepalive > 0 {
		in.countPings(r, Month.Seconds()/in.Keepalive.Seconds())
	}
	n := in.Reconnects * Month.Hours() / 24
	up, down := float64(connectUp), float64(connectDown)
	if in.TLS {
		up, down = up+handshakeUp, down+handshakeDown
	}
	r.Up.Connect, r.Down.Connect = int64(n*up), int64(n*down)
}

// storage is the queue's part: a message's record, and what its life writes to the flash, shared by those of one commit.
func (in Input) storage(r *Result, rate, size float64) {
	day := rate * 86400
	r.BufferDays, r.BufferBound = float64(in.QueueBytes)/(day*(size+recordOverhead)), "bytes"
	if age := in.QueueAge.Hours() / 24; in.QueueAge > 0 && age < r.BufferDays {
		r.BufferDays, r.BufferBound = age, "age"
	}
	commit := 1 + rate*in.CommitWait.Seconds()
	r.FlashEach = int64(flashPerSync/commit + 130)
	r.Flash = r.Messages * r.FlashEach
}
