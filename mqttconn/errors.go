package mqttconn

import "fmt"

// Error is the error of every failure of a session. Its text says what failed and why, and what to do about it.
type Error struct {
	Op    string // "config", "connect", "session", "publish", "subscribe"
	Cause Cause
	Err   error
	Hint  string // the next step for whoever reads it; "": the one that fits Cause
	Seq   uint64 // with [CauseUnanswered]: the message whose bytes have arrived and that the broker stays silent about; else 0
}

func (e *Error) Error() string {
	text := "mqttconn: " + e.Op + ": " + e.Err.Error()
	if advice := e.Advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// Advice is the next step for whoever reads the error; "": there is none.
func (e *Error) Advice() string {
	if e.Hint != "" {
		return e.Hint
	}
	if e.Cause == CauseCertificate {
		return certificateAdvice(e.Err)
	}
	return advice(e.Cause)
}

func (e *Error) Unwrap() error { return e.Err }

// advice is the next step for whoever reads the error.
func advice(c Cause) string {
	switch c {
	case CauseDNS:
		return "check the broker's host name and that the network has a DNS server"
	case CauseRefused:
		return "check the broker's host and port, and that the broker runs"
	case CauseTimeout:
		return "check that the network lets the connection through and that the broker is not overloaded"
	case CauseTLS:
		return "check that the port expects TLS and which versions the broker allows"
	case CauseCertificate:
		return "check the CA, the host name, the validity of the certificates and this machine's clock"
	case CauseCredentials:
		return "check the user name and password, and what the broker allows them"
	case CauseIdentifier:
		return "choose another client id, or allow this one at the broker"
	case CauseProtocol:
		return "check that the address is that of an MQTT 3.1.1 broker"
	}
	return ""
}

// newError makes the error of an operation from whatever went wrong, classified once.
func newError(op string, err error) *Error {
	if own, ok := err.(*Error); ok {
		return own
	}
	cause := CauseOf(err)
	if op == "session" && cause == CauseTLS {
		cause = CauseNetwork // after the handshake TLS complains of nothing but bytes that changed on the way
	}
	return &Error{Op: op, Cause: cause, Err: err}
}

// bare takes the operation and the advice off an error, for use within another one.
func bare(err error) error {
	if own, ok := err.(*Error); ok {
		return own.Err
	}
	return err
}

// refusal makes the error for a CONNACK code other than 0 (section 3.2.2.3).
func refusal(code byte, from string) *Error {
	cause, why := CauseProtocol, "an unknown reason"
	switch code {
	case 1:
		why = "it does not speak MQTT 3.1.1"
	case 2:
		cause, why = CauseIdentifier, "it does not accept the client id"
	case 3:
		cause, why = CauseUnavailable, "its service is unavailable"
	case 4:
		cause, why = CauseCredentials, "wrong user name or password"
	case 5:
		cause, why = CauseCredentials, "not authorised"
	}
	return &Error{Op: "connect", Cause: cause, Err: fmt.Errorf("broker %s refused the connection: %s (CONNACK %d)", from, why, code)}
}
