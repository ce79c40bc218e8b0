package mqttconn

import (
	"fmt"
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
	case typeUnsuback:
		return false, nil // nothing here unsubscribes
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
	if !known {
		g.ledger.stray()
		return false, nil
	}
	if got := len(f.body) - 2; got != want {
		return false, malformed("a SUBACK with %d codes for %d topics", got, want)
	}
	return true, nil
}

func (g *guard) ponged() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pingSince = time.Time{}
}
