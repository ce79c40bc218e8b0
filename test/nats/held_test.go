package nats_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// TestHeldMessageSurvivesCleanSession shows with a plain client why the nodes of this cluster must not be configured as brokers
// of their own, each with a session that can be discarded: a QoS 2 message that one node took is still held when another
// node has begun a clean session, and the next message under its packet id is taken for a repeat.
//
// When it fails the engine has changed: what docs/fleet.md says of it is no longer so.
func TestHeldMessageSurvivesCleanSession(t *testing.T) {
	nodes := startCluster(t)
	one := dialMQTT(t, nodes[0], "pump-08", false)
	cloud := startTally(t, nodes)
	one.publish("first") // answered, but never released

	dialMQTT(t, nodes[1], "pump-08", true).close()
	other := dialMQTT(t, nodes[1], "pump-08", false)
	other.publish("second")
	other.release()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := cloud.reach(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if missing := cloud.missing([]string{"site.two first"}); len(missing) > 0 {
		t.Errorf("the cluster delivered %v, want the first message in place of the second", cloud.stored)
	}
	if missing := cloud.missing([]string{"site.two second"}); len(missing) == 0 {
		t.Error("the second message has arrived: a clean session forgets what is held")
	}
}

// plainClient speaks MQTT packet by packet, always under packet id 1.
type plainClient struct {
	t    *testing.T
	conn net.Conn
}

// dialMQTT connects, again and again: a node ends connections while the streams for MQTT are being made.
func dialMQTT(t *testing.T, n *node, clientID string, clean bool) plainClient {
	t.Helper()
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.ClientIdentifier, hello.CleanSession, hello.Keepalive = "MQTT", 4, clientID, clean, 60
	c := plainClient{t: t}
	eventually(t, n.mqtt+" takes a client", time.Minute, func() (ok bool) {
		var err error
		if c.conn, err = net.Dial("tcp", n.mqtt); err != nil {
			return false
		}
		answer, err := c.ask(hello)
		if connack, is := answer.(*packets.ConnackPacket); err == nil && is && connack.ReturnCode == 0 {
			return true
		}
		_ = c.conn.Close()
		return false
	})
	t.Cleanup(func() { c.conn.Close() })
	return c
}

func (c plainClient) publish(payload string) {
	c.t.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Qos, p.MessageID, p.Payload = "site/two", 2, 1, []byte(payload)
	if answer, ok := c.exchange(p).(*packets.PubrecPacket); !ok {
		c.t.Fatalf("PUBLISH %s: got %v, want PUBREC", payload, answer)
	}
}

func (c plainClient) release() {
	c.t.Helper()
	p := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
	p.MessageID = 1
	if answer, ok := c.exchange(p).(*packets.PubcompPacket); !ok {
		c.t.Fatalf("PUBREL: got %v, want PUBCOMP", answer)
	}
}

func (c plainClient) close() {
	c.t.Helper()
	if err := packets.NewControlPacket(packets.Disconnect).Write(c.conn); err != nil {
		c.t.Error(err)
	}
	_ = c.conn.Close()
}

func (c plainClient) exchange(p packets.ControlPacket) packets.ControlPacket {
	c.t.Helper()
	answer, err := c.ask(p)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func (c plainClient) ask(p packets.ControlPacket) (packets.ControlPacket, error) {
	if err := c.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	if err := p.Write(c.conn); err != nil {
		return nil, err
	}
	return packets.ReadPacket(c.conn)
}
