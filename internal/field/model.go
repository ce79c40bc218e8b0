package field

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// Violation is a promise that was broken.
type Violation struct {
	Invariant string // "I1" to "I11", see the package comment
	At        time.Duration
	Text      string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s at %s: %s", v.Invariant, clockOf(v.At), v.Text)
}

// fate is what became of the offer of a reading.
type fate uint8

const (
	offered  fate = iota // no answer yet, or none that the sensor could hear: the box died meanwhile
	accepted             // the sensor was told yes
	refused
)

// reading is the history of one.
type reading struct {
	fate     fate
	arrivals int
	qos      byte
	lane     int
	seq      uint64 // in the queue
	at       time.Time
	boot     int // of the machine, in which it was offered
}

// model is the history of all readings. It is safe for concurrent use.
type model struct {
	begin time.Time

	mu         sync.Mutex
	sensors    [][]reading
	newest     []int // of each sensor, the highest reading that has arrived; -1: none
	doubled    int   // repeats at QoS 2
	damaged    int   // messages whose checksum told that they are not whole
	decoder    *envelope.Decoder
	repeats    int // at QoS 0 and 1, where they are allowed
	violations []Violation
	kinds      map[string]int    // violations by invariant
	dated      int               // arrivals whose stamp was checked
	settings   map[int][]setting // by boot: when its clock was set, and how far beside the true time
}

// mostPerInvariant bounds the list: after so many of a kind the others only count.
const mostPerInvariant = 5

func newModel(begin time.Time, sensors int) *model {
	m := &model{begin: begin, sensors: make([][]reading, sensors), newest: make([]int, sensors), decoder: envelope.NewDecoder(), kinds: make(map[string]int),
		settings: make(map[int][]setting)}
	for i := range m.newest {
		m.newest[i] = -1
	}
	return m
}

func (m *model) violate(invariant, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.violateLocked(invariant, format, args...)
}

func (m *model) violateLocked(invariant, format string, args ...any) {
	if m.kinds[invariant]++; m.kinds[invariant] <= mostPerInvariant {
		m.violations = append(m.violations, Violation{invariant, time.Since(m.begin), fmt.Sprintf(format, args...)})
	}
}

// offer notes that a sensor is about to hand its next reading over, and returns the reading's number.
func (m *model) offer(sensor int, qos byte, lane, boot int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sensors[sensor] = append(m.sensors[sensor], reading{qos: qos, lane: lane, at: time.Now(), boot: boot})
	return len(m.sensors[sensor]) - 1
}

func (m *model) answer(sensor, n int, f fate, seq uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &m.sensors[sensor][n]
	r.fate, r.seq = f, seq
}

// payload is unique and says whose it is; the filler gives it the size of a usual JSON reading, a picture that of a large one.
func payload(sensor, n, picture int) []byte {
	p := fmt.Appendf(nil, `{"s":%d,"n":%d,"value":%d.%d,"unit":"bar","state":"running","site":"north-7"`, sensor, n, n%90, n%10)
	if picture > 0 {
		p = append(p, `,"picture":"`...)
		p = append(p, bytes.Repeat([]byte{'a' + byte(n%26)}, picture)...)
		p = append(p, '"')
	}
	return append(p, '}')
}

func parsePayload(p []byte) (sensor, n int, ok bool) {
	rest, ok := strings.CutPrefix(string(p), `{"s":`)
	if !ok {
		return 0, 0, false
	}
	first, rest, _ := strings.Cut(rest, `,"n":`)
	second, rest, _ := strings.Cut(rest, ",")
	_, picture, _ := strings.Cut(rest, `"picture":"`)
	sensor, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	return sensor, n, err1 == nil && err2 == nil && bytes.Equal(p, payload(sensor, n, max(0, len(picture)-len(`"}`))))
}

// arrived is called for each message that the cloud got.
func (m *model) arrived(topic string, p []byte, qos byte, mayRepeat bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !envelope.Is(p) {
		m.arrivedOne(topic, p, qos, mayRepeat)
		return
	}
	message, err := m.decoder.Decode(p)
	if err != nil {
		m.damaged++ // cut and filled up, and known as such: whoever reads it drops it
		return
	}
	for _, r := range message.Readings {
		if message.Batch {
			topic = r.Topic
		}
		m.arrivedOne(topic, r.Payload, qos, mayRepeat)
		if r.Quality == envelope.QualityKnown {
			m.dates(r)
		}
	}
}

// reused wants what comes under a packet id that the broker holds to be what it holds: anything else would be taken for its repetition
// and never be delivered.
func (m *model) reused(held, p *packets.PublishPacket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held.TopicName == p.TopicName && (bytes.Equal(held.Payload, p.Payload) || slices.Equal(m.ids(held.Payload), m.ids(p.Payload))) {
		return
	}
	m.violateLocked("I4", "packet id %d is used for %.100q on %s while the broker holds %.100q on %s under it",
		p.MessageID, p.Payload, p.TopicName, held.Payload, held.TopicName)
}

// ids are those of the readings in an envelope, whose stamps may be corrected before it is sent again.
func (m *model) ids(payload []byte) (ids []uint64) {
	message, err := m.decoder.Decode(payload)
	if err != nil {
		return []uint64{rand.Uint64()} // equal to nothing
	}
	for _, r := range message.Readings {
		ids = append(ids, r.Seq)
	}
	return ids
}

// arrivedOne is called for each reading, with mu held.
func (m *model) arrivedOne(topic string, p []byte, qos byte, mayRepeat bool) {
	if !strings.HasPrefix(topic, "field/") {
		return // of the device itself
	}
	sensor, n, ok := parsePayload(p)
	if !ok || sensor >= len(m.sensors) || n >= len(m.sensors[sensor]) || topic != topicOf(sensor) {
		m.violateLocked("I4", "the cloud got %.100q on %s, which nobody sent", p, topic)
		return
	}
	r := &m.sensors[sensor][n]
	r.arrivals++
	if qos < r.qos {
		m.violateLocked("I4", "reading %d of sensor %d was accepted at QoS %d and sent at %d", n, sensor, r.qos, qos)
	}
	if r.fate == refused {
		m.violateLocked("I4", "reading %d of sensor %d was refused and arrived", n, sensor)
	}
	switch {
	case r.arrivals == 1:
		if n < m.newest[sensor] {
			m.violateLocked("I3", "reading %d of sensor %d arrived first after %d had", n, sensor, m.newest[sensor])
		}
		m.newest[sensor] = max(n, m.newest[sensor])
	case r.qos < 2:
		m.repeats++
	default:
		if m.doubled++; !mayRepeat {
			m.violateLocked("I4", "reading %d of sensor %d arrived %d times at QoS 2", n, sensor, r.arrivals)
		}
	}
}

// count adds the history up.
func (m *model) count(r *Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, list := range m.sensors {
		for _, x := range list {
			r.Offered++
			switch x.fate {
			case accepted:
				r.Accepted++
			case refused:
				r.Refused++
			}
			if x.arrivals > 0 {
				r.Delivered++
			}
		}
	}
	r.Repeated, r.Doubled, r.Damaged, r.Dated = m.repeats, m.doubled, m.damaged, m.dated
	r.Violations, r.Broken = slices.Clone(m.violations), maps.Clone(m.kinds)
}

func topicOf(sensor int) string { return "field/" + strconv.Itoa(sensor) }
