package mqttconn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestCauseOf(t *testing.T) {
	remote := func(alert tls.AlertError) error { // as crypto/tls reports it
		return &net.OpError{Op: "remote error", Err: errors.New(alert.Error())}
	}
	tests := []struct {
		name string
		err  error
		want mqttconn.Cause
	}{
		{"nil", nil, mqttconn.CauseNone},
		{"own", &mqttconn.Error{Cause: mqttconn.CauseCredentials, Err: errors.New("x")}, mqttconn.CauseCredentials},
		{"own, around a timeout", &mqttconn.Error{Cause: mqttconn.CauseSilent, Err: os.ErrDeadlineExceeded}, mqttconn.CauseSilent},
		{"canceled", context.Canceled, mqttconn.CauseCanceled},
		{"deadline", context.DeadlineExceeded, mqttconn.CauseTimeout},
		{"i/o timeout", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, mqttconn.CauseTimeout},
		{"TCP timeout", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}, mqttconn.CauseTimeout},
		{"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, mqttconn.CauseRefused},
		{"name", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, mqttconn.CauseDNS},
		{"name, timed out", &net.DNSError{Err: "timeout", IsTimeout: true}, mqttconn.CauseDNS},
		{"verification", &tls.CertificateVerificationError{Err: errors.New("x")}, mqttconn.CauseCertificate},
		{"authority", x509.UnknownAuthorityError{}, mqttconn.CauseCertificate},
		{"host name", x509.HostnameError{Certificate: &x509.Certificate{}}, mqttconn.CauseCertificate},
		{"expired", x509.CertificateInvalidError{Reason: x509.Expired}, mqttconn.CauseCertificate},
		{"the broker's view: expired", remote(45), mqttconn.CauseCertificate},
		{"the broker's view: unknown CA", remote(48), mqttconn.CauseCertificate},
		{"the broker's view: required", remote(116), mqttconn.CauseCertificate},
		{"the broker's view: version", remote(70), mqttconn.CauseTLS},
		{"the broker's view: bytes changed", remote(20), mqttconn.CauseNetwork},
		{"the broker's view: bytes changed in the handshake", remote(50), mqttconn.CauseNetwork},
		{"no TLS", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, mqttconn.CauseTLS},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, mqttconn.CauseHungUp},
		{"end", io.EOF, mqttconn.CauseHungUp},
		{"closed below", net.ErrClosed, mqttconn.CauseNetwork},
		{"unknown", errors.New("x"), mqttconn.CauseNetwork},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mqttconn.CauseOf(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.err == nil {
				return
			}
			if got := mqttconn.CauseOf(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want {
				t.Errorf("wrapped: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRelease(t *testing.T) {
	for _, want := range []mqttconn.Release{mqttconn.ReleaseProof, mqttconn.ReleaseAcked, mqttconn.ReleaseBroker} {
		if got, err := mqttconn.ParseRelease(want.String()); got != want || err != nil {
			t.Errorf("%v: got %v, %v", want, got, err)
		}
	}
	if _, err := mqttconn.ParseRelease("token"); err == nil {
		t.Error("an unknown word was taken")
	}
}

// TestCertificateAdvice: the next step is the one of the reason, where that is known.
func TestCertificateAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		want, lack string
	}{
		"authority": {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "check the CA", "clock"},
		"host name": {x509.HostnameError{Certificate: &x509.Certificate{}}, "host name", "clock"},
		"expired":   {x509.CertificateInvalidError{Reason: x509.Expired}, "clock", "CA"},
		"other":     {&tls.CertificateVerificationError{Err: errors.New("x")}, "validity", "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &mqttconn.Error{Op: "connect", Cause: mqttconn.CauseCertificate, Err: c.err}
			if got := e.Advice(); !strings.Contains(got, c.want) || strings.Contains(got, c.lack) {
				t.Errorf("got %q, want %q in it and not %q", got, c.want, c.lack)
			}
		})
	}
}
