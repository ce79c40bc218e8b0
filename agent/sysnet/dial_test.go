package sysnet_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldpost/fieldpost/agent/sysnet"
)

// freeAddress returns an address at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDialErrors(t *testing.T) {
	refused := freeAddress(t)
	for _, test := range []struct {
		name, network, address string
		text                   []string
		check                  func(error) bool
	}{
		{
			name: "refused", network: "tcp", address: refused,
			text:  []string{refused, "refused the connection", "broker runs"},
			check: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
		},
		{
			name: "host not known", network: "tcp", address: "broker.invalid:1883",
			text:  []string{"broker.invalid:1883", "address", "check"},
			check: func(err error) bool { var dns *net.DNSError; return errors.As(err, &dns) },
		},
		{
			name: "no port", network: "tcp", address: "broker.example",
			text:  []string{`"broker.example"`, "host and a port"},
			check: func(err error) bool { var form *net.AddrError; return errors.As(err, &form) },
		},
		{
			name: "datagrams", network: "udp", address: refused,
			text:  []string{`"udp"`, "use tcp"},
			check: func(error) bool { return true },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d sysnet.Dialer
			_, err := d.DialContext(t.Context(), test.network, test.address)
			if err == nil {
				t.Fatal("DialContext succeeded")
			}
			for _, want := range append(test.text, "sysnet: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q doesn't say %q", err, want)
				}
			}
			if !test.check(err) {
				t.Errorf("error %q lost its cause: %#v", err, err)
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var d sysnet.Dialer
	_, err := d.DialContext(ctx, "tcp", freeAddress(t))
	if err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("DialContext = %v, want that it was given up", err)
	}
}
