package mqttconn

import (
	"sync"
	"time"
)

// Bytes is a count of each direction.
type Bytes struct{ Up, Down int64 }

func (b *Bytes) add(o Bytes) {
	b.Up += o.Up
	b.Down += o.Down
}

// AirCounts is what went over the air, by cause. The counts above TCP are exact; TCPIP is an estimate.
type AirCounts struct {
	Payload   Bytes // of messages sent for the first time, and received
	Topic     Bytes // their topics
	MQTT      Bytes // the rest of their packets, and the answers to them
	TLS       Bytes // records around all that follows the CONNACK
	TCPIP     Bytes // headers and bare acknowledgements after the CONNACK, estimated
	Keepalive Bytes // pings and their answers
	Connect   Bytes // all until the CONNACK, TLS handshake and headers included; subscriptions; goodbyes
	Repeats   Bytes // messages sent again, whole packets
}

// Total is the sum of all causes.
func (c AirCounts) Total() (sum Bytes) {
	for _, b := range []Bytes{c.Payload, c.Topic, c.MQTT, c.TLS, c.TCPIP, c.Keepalive, c.Connect, c.Repeats} {
		sum.add(b)
	}
	return sum
}

// Air counts the bytes of all the sessions that it is given to, also of attempts that fail. Its zero value is ready.
type Air struct {
	// Published is told of each PUBLISH that leaves: its topic, and the bytes of the packet. It must not block. nil: nobody is.
	Published func(topic string, bytes int)

	mu     sync.Mutex
	counts AirCounts // but for TLS
	stream Bytes     // below TLS, after the CONNACK
}

// Counts returns the counts so far. They never fall by more than what is being written at the moment.
func (a *Air) Counts() AirCounts {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.counts
	above := c.Payload
	for _, b := range []Bytes{c.Topic, c.MQTT, c.Keepalive, c.Repeats} {
		above.add(b)
	}
	c.TLS = Bytes{max(0, a.stream.Up-above.Up), max(0, a.stream.Down-above.Down)}
	return c
}

func (a *Air) count(f func(c *AirCounts)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(&a.counts)
}

// sent counts the packets of a write. What is said to leave the session counts as belonging to the connection.
func (a *Air) sent(batch []packet) {
	a.mu.Lock()
	for _, p := range batch {
		n := int64(len(p.bytes))
		switch p.kind {
		case typeConnect: // all until the CONNACK is counted below TLS
		case typeSubscribe, typeUnsubscribe, typeDisconnect:
			a.counts.Connect.Up += n
			a.stream.Up -= n
		case typePingreq:
			a.counts.Keepalive.Up += n
		case typePublish:
			a.published(p)
		default:
			a.counts.MQTT.Up += n
		}
	}
	a.mu.Unlock()
	if a.Published == nil {
		return
	}
	for _, p := range batch {
		if p.kind == typePublish {
			a.Published(topicOf(p.bytes), len(p.bytes))
		}
	}
}

// published is called with mu held.
func (a *Air) published(p packet) {
	n := int64(len(p.bytes))
	if p.entry != nil && (p.entry.resumed || p.entry.again) {
		a.counts.Repeats.Up += n
		return
	}
	topic, payload := partsOf(p.bytes)
	a.counts.Topic.Up += topic
	a.counts.Payload.Up += payload
	a.counts.MQTT.Up += n - topic - payload
}

// received counts one packet of the broker.
func (a *Air) received(f frame) {
	n := int64(len(f.bytes))
	a.count(func(c *AirCounts) {
		switch f.kind() {
		case typeConnack:
		case typeSuback, typeUnsuback:
			c.Connect.Down += n
			a.stream.Down -= n
		case typePingresp:
			c.Keepalive.Down += n
		case typePublish:
			topic, payload := partsOf(f.bytes)
			c.Topic.Down += topic
			c.Payload.Down += payload
			c.MQTT.Down += n - topic - payload
		default:
			c.MQTT.Down += n
		}
	})
}

// partsOf measures topic and payload of a PUBLISH that was checked.
func partsOf(publish []byte) (topic, payload int64) {
	f, err := splitFrame(publish)
	if err != nil {
		return 0, 0
	}
	topic = int64(f.body[0])<<8 + int64(f.body[1])
	payload = int64(len(f.body)) - 2 - topic
	if f.qos() > 0 {
		payload -= 2
	}
	return topic, payload
}

func topicOf(publish []byte) string {
	f, err := splitFrame(publish)
	if err != nil {
		return ""
	}
	n := int(f.body[0])<<8 + int(f.body[1])
	return string(f.body[2 : 2+n])
}

const (
	tcpHeaders = 40   // IPv4 and TCP without options, as a module's own TCP sends them
	segment    = 1448 // the largest that the guide names (G4.7)
	// delayedAck is how long an acknowledgement waits for data to ride with (RFC 1122 allows 500 ms, most wait 200).
	delayedAck = 200 * time.Millisecond
	// answerWait is after how long without anything heard sent segments count as acknowledged by packets of their own: more
	// than a full window and a round trip take.
	answerWait = 3 * time.Second
)

// segments estimates packets from what is written and read: each write and each read is a segment for every 1448 bytes of
// it; an acknowledgement rides with what is sent soon after; else there is one for every other segment, or for a lone one.
// What is lost and sent again by TCP itself is not seen. Its owner, a lowerConn, guards it.
type segments struct {
	air     *Air
	opening bool // the CONNACK has not come
	owedUp  int  // segments received and not acknowledged
	owedDn  int  // segments sent and not acknowledged
	spoke   time.Time
	heard   time.Time
}

// established counts the three packets that open a connection, torn the four that end it.
func (s *segments) established() { s.connection(Bytes{Up: 2 * tcpHeaders, Down: tcpHeaders}) }
func (s *segments) torn() {
	s.connection(Bytes{Up: (2 + int64(s.owedUp)) * tcpHeaders, Down: 2 * tcpHeaders})
}

func (s *segments) connection(b Bytes) { s.air.count(func(c *AirCounts) { c.Connect.add(b) }) }

// opened is the moment of the CONNACK; some bytes behind it may have come already.
func (s *segments) opened(ahead int) {
	s.opening = false
	s.air.mu.Lock()
	defer s.air.mu.Unlock()
	s.air.counts.Connect.Down -= int64(ahead)
	s.air.stream.Down += int64(ahead)
}

// moved counts n bytes below TLS.
func (s *segments) moved(up bool, n int, now time.Time) {
	b := Bytes{Down: int64(n)}
	if up {
		b = Bytes{Up: int64(n)}
	}
	head := s.headers(up, n, now)
	s.air.mu.Lock()
	defer s.air.mu.Unlock()
	if s.opening {
		s.air.counts.Connect.add(b)
		s.air.counts.Connect.add(head)
		return
	}
	s.air.stream.add(b)
	s.air.counts.TCPIP.add(head)
}

func (s *segments) headers(up bool, n int, now time.Time) Bytes {
	count := (n + segment - 1) / segment
	var head Bytes
	if s.owedUp > 0 && now.Sub(s.heard) > delayedAck {
		head.Up = int64(s.owedUp * tcpHeaders)
		s.owedUp = 0
	}
	if up {
		if s.owedDn > 0 && now.Sub(s.spoke) > delayedAck && now.Sub(s.heard) > answerWait {
			head.Down = int64(s.owedDn * tcpHeaders)
			s.owedDn = 0
		}
		head.Up += int64(count * tcpHeaders)
		s.owedUp = 0 // it rides
		s.owedDn += count
		s.spoke = now
		return head
	}
	head.Down += int64(count * tcpHeaders)
	s.owedDn = 0 // what was owed rides with this
	s.owedUp += count
	head.Up += int64(s.owedUp / 2 * tcpHeaders)
	s.owedUp %= 2
	s.heard = now
	return head
}
