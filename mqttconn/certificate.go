package mqttconn

import (
	"crypto/x509"
	"errors"
)

// certificateAdvice is the next step when a certificate was not accepted: the one that fits, where the reason is known.
func certificateAdvice(err error) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &host):
		return "check the broker's host name: its certificate is for other names"
	case errors.As(err, &authority):
		return "check the CA: the broker's certificate is signed by one that is not trusted here"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "check this machine's clock first: by it the broker's certificate has expired, or is not valid yet"
	}
	return advice(CauseCertificate)
}
