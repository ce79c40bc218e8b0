package mqttconn

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// TLS and plain MQTT on the wrong port look like anything but that: the other side hangs up, or answers in a language that isn't
// understood.

const (
	hintPlainPort = "this port seems to be one without TLS: use the broker's TLS port, usually 8883, or mqtt:// if it has none"
	hintTLSPort   = "this port seems to expect TLS: use mqtts:// (or the broker's port without TLS, usually 1883)"
)

// handshakeError is the error of a TLS handshake.
func handshakeError(err error) *Error {
	fault := newError("connect", err)
	var record tls.RecordHeaderError
	if errors.As(err, &record) || fault.Cause == CauseHungUp {
		fault.Hint = hintPlainPort
	}
	return fault
}

// speaksTLS tells whether the first bytes from a broker are a TLS record (RFC 8446, section 5.1): to plain MQTT it answers with
// an alert.
func speaksTLS(b []byte) bool {
	return len(b) >= 2 && b[0] >= 20 && b[0] <= 23 && b[1] == 3
}

// greeted looks at what comes first.
func (g *guard) greeted() error {
	first, err := g.in.Peek(2)
	switch {
	case err != nil && g.isPlain() && CauseOf(err) == CauseHungUp:
		return &Error{Op: "connect", Cause: CauseHungUp, Hint: hintTLSPort + "; or the broker's log tells why it refused this client",
			Err: fmt.Errorf("broker %s closed the connection before CONNACK: %w", g.lower.RemoteAddr(), err)}
	case err == nil && g.isPlain() && speaksTLS(first):
		return &Error{Op: "connect", Cause: CauseTLS, Hint: hintTLSPort,
			Err: fmt.Errorf("broker %s answers with TLS", g.lower.RemoteAddr())}
	}
	return nil // what else it is will be seen
}

func (g *guard) isPlain() bool { return g.conn == g.lower }
