package field

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// cloud is the broker at the other end: MQTT 3.1.1 as section 4.3 has it, with sessions that outlive connections, and the
// ways in which brokers fail. What it has got goes to arrive, on the goroutine of the connection.
type cloud struct {
	arrive func(topic string, payload []byte, qos byte)
	reused func(old, new *packets.PublishPacket) // a packet id was used for something else while it was held
	early  bool                                  // QoS 2: a message arrives at PUBLISH instead of PUBREL; the specification allows both (figure 4.3)
	group  sync.WaitGroup
	tls    *tls.Config // nil: plain
	caFile string      // of the authority behind tls; "" without

	mu       sync.Mutex
	down     bool
	full     bool          // CONNECT is refused
	stuck    chan struct{} // open while nothing is read
	cutIn    int           // the connection ends at so many packets from now; 0: it doesn't
	rand     *rand.Rand
	conns    map[net.Conn]string // client id, once it is known
	sessions map[string]*session
	connects int
	forgot   int // times that the sessions were lost
}

// session is what the broker keeps of a client: the QoS 2 messages between PUBLISH and PUBREL.
type session struct {
	held map[uint16]*packets.PublishPacket
}

func newCloud(r *rand.Rand, arrive func(string, []byte, byte)) *cloud {
	return &cloud{
		arrive: arrive, early: r.IntN(2) == 0, rand: r,
		conns: make(map[net.Conn]string), sessions: make(map[string]*session),
	}
}

var errRefused = errors.New("field: connection refused")

// dial is the network's way to the broker.
func (c *cloud) dial(context.Context, string, string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errRefused
	}
	near, far := net.Pipe()
	c.conns[far] = ""
	c.group.Go(func() { c.serve(far) })
	return near, nil
}

// setDown ends the broker's process, or starts it again.
func (c *cloud) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	if down {
		c.hangUp()
	}
}

// forget starts the broker anew without its sessions.
func (c *cloud) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgot++
	clear(c.sessions)
	c.hangUp()
}

// forgotten reports whether the sessions were ever lost: from then on a message may come twice at QoS 2 as well.
func (c *cloud) forgotten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgot > 0
}

// hangUp is called with mu held.
func (c *cloud) hangUp() {
	for conn := range c.conns {
		_ = conn.Close()
	}
}

func (c *cloud) setFull(full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = full
	if full {
		c.hangUp()
	}
}

// setStuck is what SIGSTOP does: the kernel keeps the connections, nobody reads them.
func (c *cloud) setStuck(stuck bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case stuck && c.stuck == nil:
		c.stuck = make(chan struct{})
	case !stuck && c.stuck != nil:
		close(c.stuck)
		c.stuck = nil
	}
}

// cutSoon ends the connection at one of the next packets.
func (c *cloud) cutSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutIn = 1 + c.rand.IntN(12)
}

// close ends the broker and waits for its connections.
func (c *cloud) close() {
	c.setStuck(false)
	c.setDown(true)
	c.group.Wait()
}

// unstuck waits while nothing is to be read.
func (c *cloud) unstuck() {
	for {
		c.mu.Lock()
		stuck := c.stuck
		c.mu.Unlock()
		if stuck == nil {
			return
		}
		<-stuck
	}
}

// cut counts a packet and reports whether the connection ends with it.
func (c *cloud) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cutIn == 0 {
		return false
	}
	c.cutIn--
	return c.cutIn == 0
}

// serve speaks with one client.
func (c *cloud) serve(raw net.Conn) {
	defer func() {
		_ = raw.Close()
		c.mu.Lock()
		delete(c.conns, raw)
		c.mu.Unlock()
	}()
	conn := raw
	if c.tls != nil {
		conn = tls.Server(raw, c.tls)
		defer c.lateQoS0(raw, conn)
	}
	var s *session
	for {
		c.unstuck()
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		if pub, ok := p.(*packets.PublishPacket); ok && pub.Qos == 0 {
			// At QoS 0 the proof is that the far TCP has the bytes: what a broker does with them after that is out of reach.
			c.arrive(pub.TopicName, pub.Payload, 0)
		}
		c.unstuck()
		cut := c.cut()
		if cut && c.coin() {
			return // before it was acted upon
		}
		if connect, ok := p.(*packets.ConnectPacket); ok {
			if s, ok = c.connect(conn, raw, connect); !ok {
				return
			}
			continue
		}
		if s == nil {
			return // [MQTT-3.1.0-1]: the first packet has to be CONNECT
		}
		answer := c.act(s, p)
		if cut && c.coin() || answer == nil && isGoodbye(p) {
			return // after it was acted upon, before it is answered
		}
		if answer != nil {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
			if answer.Write(conn) != nil {
				return
			}
		}
		if cut {
			return
		}
	}
}

// lateQoS0 ends a connection and takes what TLS has read ahead of the packets: the far TCP has acknowledged those bytes,
// which at QoS 0 is all that was asked for.
func (c *cloud) lateQoS0(raw, conn net.Conn) {
	_ = raw.Close()
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		if pub, ok := p.(*packets.PublishPacket); ok && pub.Qos == 0 {
			c.arrive(pub.TopicName, pub.Payload, 0)
		}
	}
}

func (c *cloud) coin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(2) == 0
}

func isGoodbye(p packets.ControlPacket) bool {
	_, ok := p.(*packets.DisconnectPacket)
	return ok
}

// connect answers CONNECT and returns the client's session.
func (c *cloud) connect(conn, raw net.Conn, p *packets.ConnectPacket) (*session, bool) {
	c.mu.Lock()
	ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	c.connects++
	var s *session
	if c.full {
		ack.ReturnCode = packets.ErrRefusedServerUnavailable
	} else {
		for other, id := range c.conns { // [MQTT-3.1.4-2]: the older connection of the same client ends
			if id == p.ClientIdentifier && other != raw {
				_ = other.Close()
			}
		}
		c.conns[raw] = p.ClientIdentifier
		s = c.sessions[p.ClientIdentifier]
		ack.SessionPresent = s != nil && !p.CleanSession
		if !ack.SessionPresent {
			s = &session{held: make(map[uint16]*packets.PublishPacket)}
		}
		delete(c.sessions, p.ClientIdentifier)
		if !p.CleanSession {
			c.sessions[p.ClientIdentifier] = s
		}
	}
	c.mu.Unlock()
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	return s, ack.Write(conn) == nil && s != nil
}

// act does what a broker does and returns the answer; nil if there is none.
func (c *cloud) act(s *session, p packets.ControlPacket) packets.ControlPacket {
	switch p := p.(type) {
	case *packets.PublishPacket:
		return c.publish(s, p)
	case *packets.PubrelPacket:
		c.mu.Lock()
		held := s.held[p.MessageID]
		delete(s.held, p.MessageID)
		c.mu.Unlock()
		if held != nil && !c.early {
			c.arrive(held.TopicName, held.Payload, 2)
		}
		comp := packets.NewControlPacket(packets.Pubcomp).(*packets.PubcompPacket)
		comp.MessageID = p.MessageID
		return comp
	case *packets.SubscribePacket:
		ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		ack.MessageID, ack.ReturnCodes = p.MessageID, p.Qoss
		return ack
	case *packets.PingreqPacket:
		return packets.NewControlPacket(packets.Pingresp)
	}
	return nil
}

func (c *cloud) publish(s *session, p *packets.PublishPacket) packets.ControlPacket {
	switch p.Qos {
	case 1:
		c.arrive(p.TopicName, p.Payload, 1)
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = p.MessageID
		return ack
	case 2:
		c.mu.Lock()
		held, repeat := s.held[p.MessageID]
		s.held[p.MessageID] = p
		c.mu.Unlock()
		if repeat {
			c.reused(held, p)
		}
		if !repeat && c.early {
			c.arrive(p.TopicName, p.Payload, 2)
		}
		rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
		rec.MessageID = p.MessageID
		return rec
	}
	return nil // QoS 0 has arrived when it was read
}

func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connects
}
