package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Errors of [MQTT.Forward].
var (
	ErrNobody      = errors.New("source: no local MQTT client has subscribed to it")
	ErrUnconfirmed = errors.New("source: no local MQTT client has acknowledged it")
)

const (
	// confirmTime is how long local software may take to acknowledge a message.
	confirmTime = 10 * time.Second
	// forwarder is the client id under which messages are forwarded. A client of this name would see nothing of it.
	forwarder = "fieldpost-downlink"
)

// forward is a message on its way to local clients. It is guarded by door.mu.
type forward struct {
	waiting map[sent]*mqtt.Client
	acked   chan struct{} // capacity 1: one of them has acknowledged it
	left    chan struct{} // capacity 1: all of them have gone without
}

// sent is a message under its packet id.
type sent struct {
	client string
	id     uint16
}

func (s sent) takeBack(cl *mqtt.Client) {
	if cl.State.Inflight.Delete(s.id) {
		cl.State.Inflight.IncreaseSendQuota()
	}
}

// Forward publishes to the clients that have subscribed to MQTTConfig.Forward/name, and returns when one of them has
// acknowledged it; a client that has subscribed with QoS 0 never does, and if there is no other, being connected is enough.
// The error is ErrNobody, ErrUnconfirmed after ten seconds or when nobody is left who could, or that of ctx. What was not acknowledged is not sent again.
// One call at a time.
func (s *MQTT) Forward(ctx context.Context, name string, payload []byte) error {
	d := s.door.Load()
	if d == nil || s.cfg.Forward == "" {
		return fmt.Errorf("%w: the local listener is not open", ErrNobody)
	}
	topic := s.cfg.Forward + "/" + name
	if !d.listensTo(topic) {
		return fmt.Errorf("%w (%s)", ErrNobody, topic)
	}
	f := &forward{waiting: make(map[sent]*mqtt.Client), acked: make(chan struct{}, 1), left: make(chan struct{}, 1)}
	d.setForward(f)
	defer d.endForward(f)
	err := d.server.InjectPacket(d.server.NewClient(nil, "local", forwarder, true), packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: 1, TopicName: topic, Payload: payload,
	})
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if d.unconfirmed(f) == 0 {
		if !d.listensTo(topic) {
			return fmt.Errorf("%w: it has left (%s)", ErrUnconfirmed, topic)
		}
		return nil // all of them with QoS 0
	}
	timer := time.NewTimer(confirmTime)
	defer timer.Stop()
	select {
	case <-f.acked:
		return nil
	case <-f.left:
		return fmt.Errorf("%w: it has left (%s)", ErrUnconfirmed, topic)
	case <-timer.C:
		return fmt.Errorf("%w within %v (%s)", ErrUnconfirmed, confirmTime, topic)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listensTo says whether a client that is connected has subscribed to the topic.
func (d *door) listensTo(topic string) bool {
	for id := range d.server.Topics.Subscribers(topic).Subscriptions {
		if cl, ok := d.server.Clients.Get(id); ok && !cl.Closed() {
			return true
		}
	}
	return false
}

func (d *door) setForward(f *forward) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forward = f
}

func (d *door) unconfirmed(f *forward) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(f.waiting) + len(f.acked) + len(f.left)
}

// endForward takes back what was not acknowledged: it would be sent again when its client returns, long after the sender
// was told that it didn't arrive.
func (d *door) endForward(f *forward) {
	d.mu.Lock()
	d.forward = nil
	waiting := f.waiting
	f.waiting = nil
	d.mu.Unlock()
	for s, cl := range waiting {
		s.takeBack(cl)
	}
}

// mayRead reports whether a client may subscribe to a filter, or be sent a topic.
func (d *door) mayRead(filter string) bool {
	return d.cfg.Forward != "" && strings.HasPrefix(filter, d.cfg.Forward+"/")
}

// OnQosPublish notes to whom a forwarded message goes.
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish || pk.Origin != forwarder {
		return
	}
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	if f := h.door.forward; f != nil && !cl.Closed() {
		f.waiting[sent{cl.ID, pk.PacketID}] = cl
	}
}

// OnQosComplete notes that a client has acknowledged a message.
func (h *hook) OnQosComplete(cl *mqtt.Client, pk packets.Packet) {
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	f := h.door.forward
	if f == nil || f.waiting[sent{cl.ID, pk.PacketID}] == nil {
		return
	}
	delete(f.waiting, sent{cl.ID, pk.PacketID})
	select {
	case f.acked <- struct{}{}:
	default:
	}
}

// OnDisconnect notes that a client will not acknowledge any more. What it was sent is taken back, as it would be at the end.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	h.door.mu.Lock()
	defer h.door.mu.Unlock()
	f := h.door.forward
	if f == nil {
		return
	}
	had := len(f.waiting)
	maps.DeleteFunc(f.waiting, func(s sent, to *mqtt.Client) bool {
		if to == cl {
			s.takeBack(cl)
		}
		return to == cl
	})
	if had > 0 && len(f.waiting)+len(f.acked) == 0 {
		f.left <- struct{}{}
	}
}
