package mqttconn

import (
	"strconv"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// resumeStore is the store from which Paho takes up the flights of earlier connections: in our order, and only if the
// broker kept the session. It never changes, never fails, and gives fresh copies, since Paho modifies what it gets.
// What Paho puts into it is already in the caller's queue and in the ledger.
type resumeStore struct {
	flights []Resume
	present func() bool // whether the broker has kept the session; known before Paho lists the keys
}

var _ mqtt.Store = (*resumeStore)(nil)

// outboundPrefix begins Paho's keys for packets from client to broker.
const outboundPrefix = "o."

func (s *resumeStore) All() []string {
	if !s.present() {
		return nil
	}
	keys := make([]string, len(s.flights))
	for i, r := range s.flights {
		keys[i] = outboundPrefix + strconv.Itoa(int(r.PacketID))
	}
	return keys
}

// Get makes the PUBLISH of a flight. One that the broker has already received needs no content: the guard puts PUBREL in
// its place.
func (s *resumeStore) Get(key string) packets.ControlPacket {
	for _, r := range s.flights {
		if key != outboundPrefix+strconv.Itoa(int(r.PacketID)) {
			continue
		}
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.MessageID, p.Qos = r.PacketID, r.Message.QoS
		if r.releases() {
			p.Qos = 2
			return p
		}
		p.TopicName, p.Retain, p.Payload = r.Message.Topic, r.Message.Retain, r.Message.Payload
		return p
	}
	return nil
}

func (s *resumeStore) Open()                             {}
func (s *resumeStore) Put(string, packets.ControlPacket) {}
func (s *resumeStore) Del(string)                        {}
func (s *resumeStore) Close()                            {}
func (s *resumeStore) Reset()                            {}
