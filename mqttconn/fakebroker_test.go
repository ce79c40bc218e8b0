package mqttconn_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// fakeBroker is the receiving half of a broker, packet by packet. It can cut the connection at any moment that has a name,
// such as "before PUBREL 2" (read, but not acted upon), "after PUBREL 2" (acted upon, not answered), or "answered PUBREL 2".
type fakeBroker struct {
	cutAt   string              // where to cut; once
	onCut   func()              // called in the same moment
	forgets bool                // the session does not survive the cut
	early   bool                // QoS 2: hands messages on at PUBLISH instead of PUBREL; both are allowed (section 4.3.3)
	answer  func(packet) []byte // instead of the usual answer, if it returns one; an empty one is none
	unacked bool                // nothing counts as acknowledged before acknowledge

	group sync.WaitGroup

	mu        sync.Mutex
	moments   []string // every one that came by
	seen      map[string]int
	packets   []packet
	delivered []string
	session   map[uint16]string // QoS 2: received under an id and not released; nil: no session
	hasCut    bool
	wires     []*wire
	dials     int
}

// packet is one that the broker got.
type packet = packets.ControlPacket

// dial connects a new wire, whose bytes count as acknowledged when the broker has acted upon them.
func (b *fakeBroker) dial(context.Context) (mqttconn.Conn, error) {
	w := newWire()
	w.hold()
	b.mu.Lock()
	b.wires = append(b.wires, w)
	b.dials++
	b.mu.Unlock()
	b.group.Go(func() { b.serve(w) })
	return w.client(), nil
}

func (b *fakeBroker) wire() *wire {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wires[len(b.wires)-1]
}

func (b *fakeBroker) serve(w *wire) { b.serveOn(w, w.server()) }

func (b *fakeBroker) serveOn(w *wire, conn net.Conn) {
	defer conn.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		name := b.name(p)
		if b.moment("before "+name, w) {
			return
		}
		answer := b.act(p)
		if !b.unacked {
			w.processed()
		}
		if b.moment("after "+name, w) {
			return
		}
		if len(answer) > 0 {
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
		if b.moment("answered "+name, w) {
			return
		}
		if _, ok := p.(*packets.DisconnectPacket); ok {
			return
		}
	}
}

// push sends bytes to the client of the last connection.
func (b *fakeBroker) push(p ...byte) { b.wire().down.write(p) }

// acknowledge counts what has been read as acknowledged.
func (b *fakeBroker) acknowledge() { b.wire().processed() }

// name numbers the packets of each type.
func (b *fakeBroker) name(p packet) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = make(map[string]int)
	}
	b.packets = append(b.packets, p)
	kind := kindOf(p)
	b.seen[kind]++
	return fmt.Sprint(kind, " ", b.seen[kind])
}

func kindOf(p packet) string {
	switch p.(type) {
	case *packets.ConnectPacket:
		return "CONNECT"
	case *packets.PublishPacket:
		return "PUBLISH"
	case *packets.PubrelPacket:
		return "PUBREL"
	case *packets.SubscribePacket:
		return "SUBSCRIBE"
	case *packets.PingreqPacket:
		return "PINGREQ"
	case *packets.UnsubscribePacket:
		return "UNSUBSCRIBE"
	case *packets.PubackPacket:
		return "PUBACK"
	case *packets.PubrecPacket:
		return "PUBREC"
	case *packets.PubcompPacket:
		return "PUBCOMP"
	case *packets.DisconnectPacket:
		return "DISCONNECT"
	}
	return fmt.Sprintf("%T", p)
}

// moment cuts the connection if this is the one.
func (b *fakeBroker) moment(name string, w *wire) (cut bool) {
	b.mu.Lock()
	b.moments = append(b.moments, name)
	cut = name == b.cutAt
	b.mu.Unlock()
	if !cut {
		return false
	}
	time.Sleep(time.Second) // what is on its way arrives
	if b.onCut != nil {
		b.onCut()
	}
	w.cut()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hasCut = true
	if b.forgets {
		b.session = nil
	}
	return true
}

// act does what a broker does and returns the answer.
func (b *fakeBroker) act(p packet) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		if a := b.answer(p); a != nil {
			return a
		}
	}
	switch p := p.(type) {
	case *packets.ConnectPacket:
		present := b.session != nil && !p.CleanSession
		if !present {
			b.session = make(map[uint16]string)
		}
		return connackBytes(present, 0)
	case *packets.PublishPacket:
		return b.publish(p)
	case *packets.PubrelPacket:
		if payload, held := b.session[p.MessageID]; held && !b.early {
			b.delivered = append(b.delivered, payload)
		}
		delete(b.session, p.MessageID)
		return ackBytes(packets.Pubcomp, p.MessageID)
	case *packets.PingreqPacket:
		return []byte{packets.Pingresp << 4, 0}
	case *packets.UnsubscribePacket:
		return ackBytes(packets.Unsuback, p.MessageID)
	case *packets.SubscribePacket:
		return append([]byte{packets.Suback << 4, byte(2 + len(p.Qoss)), byte(p.MessageID >> 8), byte(p.MessageID)}, p.Qoss...)
	}
	return nil
}

// publish is called with mu held.
func (b *fakeBroker) publish(p *packets.PublishPacket) []byte {
	if p.Qos < 2 {
		b.delivered = append(b.delivered, string(p.Payload))
		if p.Qos == 0 {
			return nil
		}
		return ackBytes(packets.Puback, p.MessageID)
	}
	if _, held := b.session[p.MessageID]; !held {
		b.session[p.MessageID] = string(p.Payload)
		if b.early {
			b.delivered = append(b.delivered, string(p.Payload))
		}
	}
	return ackBytes(packets.Pubrec, p.MessageID)
}

func (b *fakeBroker) has(payload string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.delivered, payload)
}

func (b *fakeBroker) payloads() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.delivered)
}

// got lists the packets of one type.
func got[P packet](b *fakeBroker) []P {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []P
	for _, p := range b.packets {
		if p, ok := p.(P); ok {
			list = append(list, p)
		}
	}
	return list
}

// count is how many packets of a type came.
func (b *fakeBroker) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[kind]
}

func connackBytes(present bool, code byte) []byte {
	flags := byte(0)
	if present {
		flags = 1
	}
	return []byte{packets.Connack << 4, 2, flags, code}
}

func ackBytes(kind byte, id uint16) []byte {
	return []byte{kind << 4, 2, byte(id >> 8), byte(id)}
}
