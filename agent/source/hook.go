package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fieldpost/fieldpost/queue"
)

const (
	// protocolVersion is that of MQTT 3.1.1. A client that offers 5 is told to
	// come back with this.
	protocolVersion = 4
	// maxClientID fits with a prefix into a message's source.
	maxClientID = 128
	// maxKeepalive is the largest number of seconds of which the library can
	// compute one and a half times in 16 bits.
	maxKeepalive = 43690
)

// A hook is asked by the library before it answers a client. All of its
// methods run in the goroutine of the client's connection.
type hook struct {
	mqtt.HookBase
	door *door
}

func (h *hook) ID() string { return "door" }

func (h *hook) Provides(event byte) bool {
	return bytes.IndexByte([]byte{
		mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck,
		mqtt.OnPacketRead, mqtt.OnPublish, mqtt.OnWill, mqtt.OnQosPublish, mqtt.OnQosComplete, mqtt.OnDisconnect,
	}, event) >= 0
}

// OnConnect decides about a client as a whole and tells it the reason of a no.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c := cl.Net.Conn.(*conn)
	c.id, c.user = cl.ID, string(pk.Connect.Username)
	// 0 asks for no limit at all; what ends a dead connection then is TCP.
	if cl.State.Keepalive == 0 || cl.State.Keepalive > maxKeepalive {
		cl.State.Keepalive = maxKeepalive
	}
	code, err := h.door.admitClient(c, cl, pk)
	if err == nil {
		return nil
	}
	c.refused = err
	h.door.log.Warn().Err(err).Str("client", c.id).Stringer("remote", c.RemoteAddr()).Msg("client refused")
	if err := h.door.server.SendConnack(cl, code, false, nil); err != nil {
		return err
	}
	return code
}

func (d *door) admitClient(c *conn, cl *mqtt.Client, pk packets.Packet) (packets.Code, error) {
	if pk.ProtocolVersion != protocolVersion {
		return packets.ErrUnsupportedProtocolVersion, fmt.Errorf("source: the client speaks MQTT version %d; set it to 3.1.1", pk.ProtocolVersion)
	}
	if len(c.id) > maxClientID {
		return packets.ErrClientIdentifierNotValid, fmt.Errorf("source: the client id has %d bytes; at most %d are taken", len(c.id), maxClientID)
	}
	if users := d.users(); users != nil && !users.check(c.user, pk.Connect.Password, c.host(), c.closing) {
		return packets.ErrMalformedUsernameOrPassword, fmt.Errorf("source: wrong user name or password for %q", c.user)
	}
	if !d.letIn(c) {
		return packets.ErrServerUnavailable, errors.New("source: the client lost its place to another while it logged in")
	}
	if cl.Properties.Will.Flag != 0 {
		if err := d.check(c, d.willMessage(c, cl.Properties.Will)); err != nil {
			return packets.Err3NotAuthorized, fmt.Errorf("source: the client's will: %w", err)
		}
	}
	if !d.claim(c) {
		return packets.ErrClientIdentifierNotValid, fmt.Errorf("source: the client id is in use by another user; give each client its own")
	}
	d.tidySessions(c)
	return packets.CodeSuccess, nil
}

// OnConnectAuthenticate agrees: OnConnect has checked.
func (h *hook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck refuses subscriptions to anything but what is forwarded. Who may
// publish what is checked before the library sees the packet.
func (h *hook) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	return write || h.door.mayRead(topic)
}

// OnPacketRead sees a packet before the library, which would drop some kinds of
// bad ones without a word. Its refusal ends the connection.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := cl.Net.Conn.(*conn)
	if c.refused != nil {
		return pk, packets.ErrRejectPacket
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		if err := h.door.check(c, h.door.publishMessage(c, pk)); err != nil {
			h.door.refuse(c, pk, err)
			return pk, packets.ErrRejectPacket
		}
		h.door.slow(c, pk)
	case packets.Pingreq, packets.Unsubscribe:
		h.door.pause(c)
	case packets.Subscribe:
		if len(pk.Filters) > maxFilters || cl.State.Subscriptions.Len() > maxFilters {
			return pk, packets.ErrRejectPacket
		}
		h.door.pause(c)
		for _, f := range pk.Filters {
			if !h.door.mayRead(f.Filter) {
				h.door.log.Info().Str("client", c.id).Str("filter", f.Filter).
					Msg("subscription refused: this listener takes readings in; subscribe at the cloud broker, or below downlink.prefix for commands")
			}
		}
	}
	return pk, nil
}

// OnPublish stores a message. The library acknowledges it when this returns,
// except for ErrRejectPacket: any other error is acknowledged as well.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil // from Forward
	}
	c := cl.Net.Conn.(*conn)
	limit := min(acceptTimeout, time.Duration(cl.State.Keepalive)*time.Second)
	if err := h.door.store(limit, h.door.publishMessage(c, pk)); err != nil {
		h.door.refuse(c, pk, err)
		return pk, packets.ErrRejectPacket
	}
	return pk, packets.CodeSuccessIgnore // acknowledge, and keep no retained copy
}

// OnWill stores the will of a client that went away without a goodbye.
func (h *hook) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	c := cl.Net.Conn.(*conn)
	if !h.door.stopping() {
		if err := h.door.store(acceptTimeout, h.door.willMessage(c, will)); err != nil {
			h.door.refuse(c, packets.Packet{TopicName: will.TopicName}, err)
		}
	}
	will.Retain = false // no copy here
	return will, nil
}

// check applies the limits and the user's prefix.
func (d *door) check(c *conn, m queue.Message) error {
	if err := d.cfg.Limits.Check(m); err != nil {
		return err
	}
	if users := d.users(); users != nil && !users.mayPublish(c.user, m.Topic) {
		return refuse(Invalid, "user %q may not publish to %.80q: its prefix is another", c.user, m.Topic)
	}
	return nil
}

// store returns when the message is on disk, or with the reason why not.
func (d *door) store(limit time.Duration, m queue.Message) error {
	ctx, cancel := context.WithTimeout(d.accepting, limit)
	defer cancel()
	if _, err := d.cfg.Sink.Accept(ctx, m); err != nil {
		return err
	}
	d.tally.accepted([]queue.Message{m})
	return nil
}

// refuse hangs up on a client whose message can't be taken, so that it keeps
// the message and tries again. What it marks as a repeat was counted the first
// time.
func (d *door) refuse(c *conn, pk packets.Packet, err error) {
	c.refused = err
	if pk.FixedHeader.Dup {
		d.tally.failed(err)
	} else {
		d.tally.refused(1, err)
	}
	d.log.Warn().Err(err).Str("client", c.id).Str("topic", pk.TopicName).Msg("message refused, client disconnected")
	c.Close()
}

// slow lets a client that brings more than its share wait before more of it is
// read: TCP hands that on to the client. Nothing is lost by it.
func (d *door) slow(c *conn, pk packets.Packet) {
	wait := d.shares.of(c.id).take(1, len(pk.TopicName)+len(pk.Payload))
	if wait <= 0 {
		return
	}
	d.tally.slowed(1)
	c.wait(wait)
}

// pause counts a packet that costs an answer and brings no reading: a flood of those is slowed down, too.
func (d *door) pause(c *conn) {
	c.wait(d.shares.of(c.id).take(1, 0))
}

// wait ends early when the connection is closed.
func (c *conn) wait(wait time.Duration) {
	if wait <= 0 {
		return
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	select {
	case <-over.C:
	case <-c.closing:
	}
}

func (d *door) publishMessage(c *conn, pk packets.Packet) queue.Message {
	return queue.Message{
		Topic:   pk.TopicName,
		QoS:     d.cfg.QoS,
		Retain:  pk.FixedHeader.Retain,
		Payload: pk.Payload,
		Source:  "mqtt:" + c.id,
	}
}

func (d *door) willMessage(c *conn, will mqtt.Will) queue.Message {
	return queue.Message{
		Topic:   will.TopicName,
		QoS:     d.cfg.QoS,
		Retain:  will.Retain,
		Payload: will.Payload,
		Source:  "mqtt:" + c.id,
	}
}
