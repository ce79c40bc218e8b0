package queue

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Lane is how urgent a message is. All waiting messages of a lane are delivered before those of the next one.
type Lane uint8

// The lanes, most urgent first. The zero Lane stands for Normal in a Put.
const (
	Alarm  Lane = 1
	Normal Lane = 2
	Bulk   Lane = 3
)

// laneSlots is the length of an array that is indexed by Lane.
const laneSlots = 4

// Lanes lists the lanes in the order of their delivery.
func Lanes() []Lane { return []Lane{Alarm, Normal, Bulk} }

// String returns alarm, normal or bulk.
func (l Lane) String() string {
	switch l {
	case Alarm:
		return "alarm"
	case Normal:
		return "normal"
	case Bulk:
		return "bulk"
	}
	return fmt.Sprintf("lane(%d)", uint8(l))
}

// ParseLane is the inverse of Lane.String.
func ParseLane(s string) (Lane, error) {
	for _, l := range Lanes() {
		if s == l.String() {
			return l, nil
		}
	}
	return 0, fmt.Errorf("queue: no lane is called %q; there are alarm, normal and bulk", s)
}

// Trust is how far a wall clock is to be believed.
type Trust uint8

const (
	TrustUnknown Trust = 0 // nothing is known: possibly a clock that started in 1970
	TrustGuessed Trust = 1 // plausible, but not set by a time source since the boot
	TrustKnown   Trust = 2 // set by a time source
)

// String returns unknown, guessed or known.
func (t Trust) String() string {
	switch t {
	case TrustUnknown:
		return "unknown"
	case TrustGuessed:
		return "guessed"
	case TrustKnown:
		return "known"
	}
	return fmt.Sprintf("trust(%d)", uint8(t))
}

// ID tells one message from all others of a device, over all files that its queue ever had: where the same ID comes again,
// it is the same message, repeated.
type ID struct {
	Epoch [8]byte // random, drawn for each new file
	Seq   uint64
}

// String returns the epoch in hexadecimal digits, a dash, and the sequence.
func (id ID) String() string { return fmt.Sprintf("%x-%d", id.Epoch, id.Seq) }

// ParseID is the inverse of ID.String.
func ParseID(s string) (ID, error) {
	var id ID
	epoch, seq, ok := strings.Cut(s, "-")
	if raw, err := hex.DecodeString(epoch); !ok || err != nil || len(raw) != len(id.Epoch) {
		return ID{}, fmt.Errorf("queue: %q is no message id: want 16 hexadecimal digits, a dash and a number", s)
	} else {
		copy(id.Epoch[:], raw)
	}
	if _, err := fmt.Sscanf(seq, "%d", &id.Seq); err != nil || fmt.Sprint(id.Seq) != seq {
		return ID{}, fmt.Errorf("queue: %q is no message id: %q is no number", s, seq)
	}
	return id, nil
}

// Message is one reading on its way. The queue keeps all fields, History as long as the message is on its way.
type Message struct {
	// Seq is the message's place in the queue's order, counted from 1 over all lanes. Put sets it.
	Seq uint64
	// ID names the message to receivers. Put leaves it alone if set (a message that comes from another queue); else
	// what the queue hands out carries its own epoch and Seq here.
	ID      ID
	Lane    Lane
	Topic   string // a topic name as in MQTT 3.1.1: 1 to 65535 bytes of UTF-8 without wildcards and NUL
	QoS     byte   // 0, 1 or 2
	Retain  bool
	Payload []byte
	Source  string // which source took it in; at most 255 bytes

	// Time is the wall time of the reading, Trust how far the clock was believed then, and Boot and Mono the boot of the
	// machine and the time since then. A Put with a zero Boot gets Boot and Mono of now, and Time and Trust if Time is
	// zero too. Once the clock is known (SetClock), messages of this boot whose Trust is less are handed out with a
	// Time reckoned back from it. Time and Mono are kept to the millisecond, Time in UTC.
	Time  time.Time
	Trust Trust
	Boot  [16]byte
	Mono  time.Duration

	// Expires, unless zero, is when the message loses its worth. What counts is the span from Time to Expires: a clock
	// that was wrong at the time of the reading expires nothing early.
	Expires time.Time
	// Attempts counts how often a delivery was tried in vain (AddAttempts).
	Attempts uint32

	// History marks a message that was waiting when a LiveFirst reader began. It is stored with the message's flight only,
	// so that a packet which is sent again is the same.
	History bool
	// Repeat marks a message that was in this queue before, under the same ID: its receiver may have it (Resend). An
	// exported message that is imported where it came from is one too.
	Repeat bool
}

// validate reports what keeps m from being stored.
func (m *Message) validate(maxMessage int) error {
	if err := ValidateTopic(m.Topic); err != nil {
		return err
	}
	switch {
	case m.Lane > Bulk:
		return fmt.Errorf("%w: lane %d is none of alarm, normal, bulk", ErrInvalid, m.Lane)
	case m.QoS > 2:
		return fmt.Errorf("%w: QoS is %d; it can be 0, 1 or 2", ErrInvalid, m.QoS)
	case m.Trust > TrustKnown:
		return fmt.Errorf("%w: trust %d is none of unknown, guessed, known", ErrInvalid, m.Trust)
	case len(m.Source) > 255:
		return fmt.Errorf("%w: the source's name has %d bytes; at most 255 are kept", ErrInvalid, len(m.Source))
	case len(m.Topic)+len(m.Payload) > maxMessage:
		return &TooLargeError{Size: len(m.Topic) + len(m.Payload), Max: maxMessage}
	}
	return nil
}

// ValidateTopic reports why a broker would refuse the topic name; nil if it would not. The error wraps ErrInvalid.
func ValidateTopic(topic string) error {
	switch {
	case topic == "":
		return fmt.Errorf("%w: the topic is empty", ErrInvalid)
	case len(topic) > 65535: // MQTT 3.1.1, 1.5.3: the length has two bytes
		return fmt.Errorf("%w: the topic has %d bytes; MQTT allows 65535", ErrInvalid, len(topic))
	case strings.ContainsAny(topic, "+#"):
		return fmt.Errorf("%w: topic %.80q holds a wildcard (+ or #), which only subscriptions may", ErrInvalid, topic)
	case strings.ContainsRune(topic, 0):
		return fmt.Errorf("%w: topic %.80q holds a NUL character", ErrInvalid, topic)
	case !utf8.ValidString(topic):
		return fmt.Errorf("%w: topic %.80q is not UTF-8", ErrInvalid, topic)
	}
	return nil
}
