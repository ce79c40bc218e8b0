package mqttconn

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// inspect decides about one packet from the broker: pass it to Paho, keep it from Paho, or end the session.
func (g *guard) inspect(f frame) (pass bool, err error) {
	if err := f.check(); err != nil {
		return false, err
	}
	if g.hello() == nil && f.kind() != typeConnack {
		return false, malformed("a packet of type %d before CONNACK", f.kind())
	}
	switch f.kind() {
	case typeConnack:
		return true, g.welcome(f)
	case typePuback, typePubrec, typePubcomp:
		return g.ledger.answer(f.kind(), f.id()), nil
	case typeSuback:
		return g.subscribed(f)
	case typePingresp:
		g.ponged()
		return false, nil // Paho has sent no ping
	case typeUnsuback:
		return g.unsubscribed(f), nil
	}
	return true, nil
}

// welcome takes the CONNACK. Paho takes an unknown code for success, so only 0 reaches it.
func (g *guard) welcome(f frame) error {
	g.mu.Lock()
	repeated := g.connack != nil
	g.connack = &connack{code: f.body[1], present: f.body[0] == 1}
	g.mu.Unlock()
	if repeated {
		return malformed("a second CONNACK")
	}
	g.lower.opened(g.in.Buffered())
	if code := f.body[1]; code != 0 {
		return refusal(code, fmt.Sprint(g.lower.RemoteAddr()))
	}
	return nil
}

// subscribed lets a SUBACK through that has one code for each topic asked for; Paho panics at one more.
func (g *guard) subscribed(f frame) (pass bool, err error) {
	g.mu.Lock()
	want, known := g.topics[f.id()]
	delete(g.topics, f.id())
	g.mu.Unlock()
	if !known || want == 0 {
		g.ledger.stray()
		return false, nil
	}
	if got := len(f.body) - 2; got != want {
		return false, malformed("a SUBACK with %d codes for %d topics", got, want)
	}
	return true, nil
}

// unsubscribed lets an UNSUBACK through that was asked for; any other would free a packet id in Paho's table.
func (g *guard) unsubscribed(f frame) bool {
	g.mu.Lock()
	topics, known := g.topics[f.id()]
	if known = known && topics == 0; known {
		delete(g.topics, f.id())
	}
	g.mu.Unlock()
	if !known {
		g.ledger.stray()
	}
	return known
}

// readPast disposes of a message over the limit, whose beginning is f and of which skip bytes follow. It is acknowledged:
// otherwise the broker would send it again on each connection. Of QoS 2 Paho answers the PUBREL.
func (g *guard) readPast(f frame, skip int) error {
	if err := f.check(); err != nil {
		return err
	}
	if g.hello() == nil {
		return malformed("a PUBLISH before CONNACK")
	}
	if _, err := io.CopyN(io.Discard, g.in, int64(skip)); err != nil {
		return midFrame(err)
	}
	switch f.qos() {
	case 1:
		g.enqueue(packet{kind: typePuback, bytes: acknowledgement(typePuback, f.publishID())})
	case 2:
		g.enqueue(packet{kind: typePubrec, bytes: acknowledgement(typePubrec, f.publishID())})
	}
	g.mu.Lock()
	g.stats.Oversize++
	g.mu.Unlock()
	if g.oversize != nil {
		topic := int(binary.BigEndian.Uint16(f.body))
		g.oversize(string(f.body[2:2+topic]), len(f.bytes)+skip)
	}
	return nil
}

func (g *guard) ponged() {
	g.mu.Lock()
	g.ping.since = time.Time{}
	g.mu.Unlock()
	signal(g.stirred) // the pinger may have looked when this ping was open, and wait for its limit
}
