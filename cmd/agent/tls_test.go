package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a private CA in files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.issue(template, nil, nil)
	a.file = a.write("ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

// issue signs a certificate; without a parent it signs itself.
func (a *authority) issue(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent, signer = template, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// server makes a certificate for 127.0.0.1 and returns the lines of a mosquitto configuration for it.
func (a *authority) server() string {
	a.t.Helper()
	cert, key := a.issue(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, a.cert, a.key)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return fmt.Sprintf("allow_anonymous true\ncertfile %s\nkeyfile %s\n", a.write("server.pem", "CERTIFICATE", cert.Raw),
		a.write("server.key", "EC PRIVATE KEY", der))
}

// TestTLS connects through the simulated module to a broker with a certificate of a private CA, and refuses one of another.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	broker := startMosquitto(t, ours.server())
	for _, tc := range []struct {
		name, ca string
		code     int
		says     []string
	}{
		{"our CA", ours.file, exitOK, []string{"OK: connected", "+ tls"}},
		{"another CA", other.file, exitFailed, []string{"BLOCKED", "x tls", "check the CA"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, fmt.Sprintf("link: modem\nmodem: {port: sim, apn: CMNET}\nbroker: {url: \"mqtts://%s\", ca_file: %s}\n", broker.addr, tc.ca))
			agent := fieldpost(t, "agent", "run", "--config", s.conf)
			if _, stderr, code := call(t, "send", "--config", s.conf, "site/a", "1"); code != 0 {
				t.Fatalf("send: exit code %d: %s", code, stderr)
			}
			if tc.code == exitOK {
				agent.waitFor(`"connected"`, time.Minute)
				eventually(t, "the message is delivered", time.Minute, func() bool {
					out, _, _ := call(t, "status", "--json", "--config", s.conf)
					return decode(t, out)["delivery"].(map[string]any)["delivered"] == float64(1)
				})
			} else {
				agent.waitFor("link is down", time.Minute)
			}
			stdout, _, code := call(t, "status", "--config", s.conf)
			if code != tc.code {
				t.Errorf("status: got exit code %d, want %d", code, tc.code)
			}
			says(t, stdout, tc.says...)
		})
	}
}
