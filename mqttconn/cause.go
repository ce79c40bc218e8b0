package mqttconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
)

// Cause is why a session could not be opened or has ended, in one word that a supervisor can act on.
type Cause string

const (
	CauseNone        Cause = ""            // no error
	CauseConfig      Cause = "config"      // the configuration cannot work
	CauseCanceled    Cause = "canceled"    // the caller gave up
	CauseClosed      Cause = "closed"      // the session was closed on this side
	CauseDNS         Cause = "dns"         // the broker's name cannot be resolved
	CauseRefused     Cause = "refused"     // nothing listens at the broker's address
	CauseTimeout     Cause = "timeout"     // no answer in time
	CauseHungUp      Cause = "hung up"     // the other side closed the connection
	CauseNetwork     Cause = "network"     // the connection broke, or any other failure below MQTT
	CauseTLS         Cause = "tls"         // the TLS handshake failed
	CauseCertificate Cause = "certificate" // a certificate was not accepted, by us or by the broker
	CauseCredentials Cause = "credentials" // wrong user name or password, or not authorised
	CauseIdentifier  Cause = "identifier"  // the broker does not accept the client id
	CauseUnavailable Cause = "unavailable" // the broker says that its service is unavailable
	CauseProtocol    Cause = "protocol"    // the other side does not speak MQTT 3.1.1 as we do
	CauseSilent      Cause = "silent"      // a ping was not answered: the path has forgotten the connection, or it is dead
	CauseUnanswered  Cause = "unanswered"  // the broker stays silent about a message
	CauseJournal     Cause = "journal"     // the journal failed
	CauseOversize    Cause = "oversize"    // a message for us is too large even to be read past
)

// CauseOf classifies any error, those of this package as well as those of a dial function. What it does not know counts
// as [CauseNetwork].
func CauseOf(err error) Cause {
	var own *Error
	switch {
	case err == nil:
		return CauseNone
	case errors.As(err, &own):
		return own.Cause
	case errors.Is(err, context.Canceled):
		return CauseCanceled
	}
	if c := tlsCause(err); c != CauseNone {
		return c
	}
	return netCause(err)
}

// tlsCause recognises failures of TLS and of certificates.
func tlsCause(err error) Cause {
	var (
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		host      x509.HostnameError
		record    tls.RecordHeaderError
		remote    *net.OpError
	)
	switch {
	case errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &host):
		return CauseCertificate
	case errors.As(err, &record):
		return CauseTLS
	case errors.As(err, &remote) && remote.Op == "remote error": // how crypto/tls reports an alert of the other side
		if slices.ContainsFunc(certificateAlerts(), func(a tls.AlertError) bool { return a.Error() == remote.Err.Error() }) {
			return CauseCertificate
		}
		if slices.ContainsFunc(damageAlerts(), func(a tls.AlertError) bool { return a.Error() == remote.Err.Error() }) {
			return CauseNetwork
		}
		return CauseTLS
	}
	return CauseNone
}

// damageAlerts are the alerts by which a broker says that it got other bytes than were sent: unexpected message, bad record MAC,
// record overflow, illegal parameter, decode error, decrypt error. A serial line has no checksum; the next attempt may do.
func damageAlerts() []tls.AlertError {
	return []tls.AlertError{10, 20, 22, 47, 50, 51}
}

// certificateAlerts are the alerts (RFC 8446, section 6) by which a broker turns down our certificate: bad, unsupported,
// revoked, expired, unknown certificate, unknown CA, certificate required. crypto/tls exports only their texts.
func certificateAlerts() []tls.AlertError {
	return []tls.AlertError{42, 43, 44, 45, 46, 48, 116}
}

// netCause recognises failures of the network.
func netCause(err error) Cause {
	var (
		dns     *net.DNSError
		timeout net.Error
	)
	switch {
	case errors.As(err, &dns):
		return CauseDNS
	case errors.Is(err, syscall.ECONNREFUSED):
		return CauseRefused
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return CauseHungUp
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return CauseTimeout
	case errors.As(err, &timeout) && timeout.Timeout():
		return CauseTimeout
	}
	return CauseNetwork
}
