package gsmnet

import (
	"errors"
	"io"
	"net"
	"os"
)

// Cause is the one reason that a person understands for a failure.
type Cause uint8

const (
	CauseUnknown   Cause = iota
	CausePort            // the serial port is gone, stuck or not ours
	CausePower           // the module doesn't answer, or it restarted by itself
	CauseSIM             // no SIM, or one that is not ready
	CausePIN             // the SIM wants a PIN or PUK that must not or can't be given
	CauseSearching       // no network found yet
	CauseDenied          // the network refuses the SIM
	CauseRoaming         // only a foreign network was found, and Config.HomeOnly is set
	CauseAttach          // registered, but no GPRS
	CauseAPN             // the network refuses the context: APN, user or password
	CauseContext         // the context was lost
	CauseDNS             // the host name can't be resolved
	CauseTCP             // the server can't be reached
	CauseClosed          // the server closed the connection
	CauseLink            // the connection is there but nothing comes through
	CauseProtocol        // the module says what can't be
	CauseUsage           // the caller asked for what is not possible
)

var causeNames = [...]string{"unknown", "port", "power", "sim", "pin", "searching", "denied", "roaming", "attach", "apn", "context",
	"dns", "tcp", "closed", "link", "protocol", "usage"}

func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return causeNames[CauseUnknown]
}

// Error is what every failure of this package is or wraps.
type Error struct {
	Cause Cause
	Op    string // what was being done: "activate the context"
	Err   error  // why it failed, with what to do about it where that is known
}

func (e *Error) Error() string { return "gsmnet: " + e.Op + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether a deadline was the reason; net.OpError asks for it.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// CauseOf finds the Cause in an error, CauseUnknown if there is none.
func CauseOf(err error) Cause {
	var e *Error
	if errors.As(err, &e) {
		return e.Cause
	}
	return CauseUnknown
}

// errBusy means that a connection is open already: the driver carries one at a time (QIMUX=0).
var errBusy = errors.New("another connection is open, and the module carries one at a time; close it first")

// opError makes the *net.OpError of a Conn's method. nil and io.EOF stay as they are; a timeout and a local close can be
// recognised as the net package documents it.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	e := &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: err}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Err = os.ErrDeadlineExceeded // its Timeout method is what net.OpError asks
	}
	return e
}
