package mqttconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode/utf8"
)

// Conn is a connection that knows how far its bytes have come. Close must make a blocked Read and Write return.
type Conn interface {
	net.Conn
	// Written is the number of bytes that Write has accepted since the connection was opened.
	Written() uint64
	// WaitAcked blocks until the far end's TCP has acknowledged the first offset bytes. An error that wraps
	// [errors.ErrUnsupported] says that this platform cannot know; any other error ends the session.
	WaitAcked(ctx context.Context, offset uint64) error
}

// DialFunc opens one connection to the broker. The context covers the dialling only.
type DialFunc func(ctx context.Context) (Conn, error)

// Message is one application message. Seq is the caller's name for it, and More are the names of what else the caller has put
// into it, for [Flight]; they do not travel.
type Message struct {
	Seq     uint64
	More    []uint64
	Topic   string
	QoS     byte
	Retain  bool
	Payload []byte
	Again   bool // was sent on an earlier connection too: [AirCounts.Repeats] counts it
}

// ErrInvalid is wrapped by the error of [Session.Publish] for a message that MQTT cannot carry: it will never be
// accepted, on no connection.
var ErrInvalid = errors.New("message cannot be sent by MQTT")

// maxString is the longest string of MQTT (section 1.5.3): its length field has 16 bits. Paho cuts longer ones silently.
const maxString = 65535

// maxRemaining is the largest packet after its fixed header (section 2.2.3).
const maxRemaining = 268_435_455

// check tells why MQTT cannot carry m.
func (m Message) check() error {
	switch {
	case m.QoS > 2:
		return fmt.Errorf("mqttconn: publish: QoS %d does not exist: %w", m.QoS, ErrInvalid)
	case m.size() > maxRemaining:
		return fmt.Errorf("mqttconn: publish: payload of %d bytes is over the limit of the protocol: %w", len(m.Payload), ErrInvalid)
	}
	if why := topicFault(m.Topic); why != "" {
		return fmt.Errorf("mqttconn: publish: topic %.100q %s: %w", m.Topic, why, ErrInvalid)
	}
	return nil
}

// topicFault says what is wrong with a topic name (section 4.7), or nothing.
func topicFault(topic string) string {
	switch {
	case topic == "":
		return "is empty"
	case len(topic) > maxString:
		return "is longer than 65535 bytes"
	case strings.ContainsAny(topic, "+#"):
		return "contains a wildcard"
	case strings.ContainsRune(topic, 0):
		return "contains a NUL"
	case !utf8.ValidString(topic):
		return "is not UTF-8"
	}
	return ""
}

// size is the length of the PUBLISH packet after its fixed header.
func (m Message) size() int {
	n := 2 + len(m.Topic) + len(m.Payload)
	if m.QoS > 0 {
		n += 2
	}
	return n
}

// Flight is a message on its way under a packet id. Received says that the broker's PUBREC was seen, after which the
// message must never be sent again, only released with PUBREL (section 4.3.3).
type Flight struct {
	Seq      uint64
	PacketID uint16
	Received bool
	Exact    bool     // QoS 2: the broker holds the packet id until PUBREL
	More     []uint64 // of the Message
}

// Resume is a flight of an earlier connection and its message. A message that is gone meanwhile has an empty topic:
// its packet id, if the flight is exact, is then freed at the broker with PUBREL, for a later QoS 2 message under an id that
// the broker still holds would be taken for a repeat and swallowed.
type Resume struct {
	Flight
	Message Message
	Held    bool // keep the packet id taken and send nothing until [Session.Publish] is called for this Seq
}

// releases says that only PUBREL may be sent.
func (r Resume) releases() bool { return r.Received || r.Exact && r.Message.Topic == "" }

// rank orders flights under one packet id: the later one has it, but that of QoS 1 may be sent anew, and that of QoS 2 not.
func (r Resume) rank() uint64 {
	if r.releases() || r.Message.QoS == 2 {
		return r.Seq | 1<<63
	}
	return r.Seq
}

// usable drops the flights that cannot be resumed: without a packet id, of QoS 0, or under the packet id of another one.
func usable(flights []Resume) []Resume {
	latest := make(map[uint16]uint64)
	for _, r := range flights {
		latest[r.PacketID] = max(latest[r.PacketID], r.rank())
	}
	return slices.DeleteFunc(slices.Clone(flights), func(r Resume) bool {
		return r.PacketID == 0 || latest[r.PacketID] != r.rank() || !r.releases() && (r.Message.QoS == 0 || r.Message.check() != nil)
	})
}

// Journal remembers flights across connections and crashes, one for each Seq.
type Journal interface {
	// Save records f in place of an earlier flight of the same Seq. With durable it returns after f, and everything
	// saved before it, would survive a power cut; without, it may return at once. A message that the caller's queue has
	// dropped meanwhile is no error, and a flight that is exact is kept all the same; any error ends the session.
	Save(ctx context.Context, f Flight, durable bool) error
	// Clear forgets every flight, durably.
	Clear(ctx context.Context) error
}
