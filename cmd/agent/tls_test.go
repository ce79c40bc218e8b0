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

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/internal/uplink"
	"github.com/fieldpost/fieldpost/queue"
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

// client makes a certificate for a device and returns its files.
func (a *authority) client() (cert, key string) {
	a.t.Helper()
	c, k := a.issue(&x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "pump-07"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a.cert, a.key)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("client.pem", "CERTIFICATE", c.Raw), a.write("client.key", "EC PRIVATE KEY", der)
}

// TestClientCertificate shows one to a broker that demands it, and none.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ours")
	broker := startMosquitto(t, ca.server()+fmt.Sprintf("cafile %s\nrequire_certificate true\n", ca.file))
	cert, key := ca.client()
	for name, tc := range map[string]struct {
		keys string
		says string
	}{
		"shown":   {fmt.Sprintf(", client_cert_file: %s, client_key_file: %s", cert, key), `"connected"`},
		"missing": {"", "certificate required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtts://%s\", ca_file: %s%s}\n", broker.addr, ca.file, tc.keys))
			fieldpost(t, "agent", "run", "--config", s.conf).waitFor(tc.says, 20*time.Second)
		})
	}
}

// TestOwnCertificateIsSpokenOf, in the log and in the status, before it expires.
func TestOwnCertificateIsSpokenOf(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ours")
	cert, key := ca.client()
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtts://127.0.0.1:1\", ca_file: %s, client_cert_file: %s, client_key_file: %s}\n", ca.file, cert, key))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor("certificate: the own one expires on", 20*time.Second)
	out, _, _ := call(t, "status", "--config", s.conf)
	says(t, out, "certificate", "the own one expires on")
}

// streamBytes opens and closes a session as an agent of this configuration does that has just been started, and stops it.
func streamBytes(t *testing.T, cfg *config.Config) uint64 {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: cfg.QueueFile()})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	up, err := uplink.New(cfg, uplink.Options{Queue: q, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := up.Connect(t.Context(), nil, func(agent.Step, agent.StepState, string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []func() error{func() error { return s.Close(t.Context()) }, up.Save, func() error { return up.Close(t.Context()) }} {
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	sent, received := s.Bytes()
	return sent + received
}

// TestTLSSessionsOutliveARestart resumes a session over restarts of the agent, until what it was verified with changes.
func TestTLSSessionsOutliveARestart(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ours")
	broker := startMosquitto(t, ca.server()+"cafile "+ca.file+"\n") // which makes Mosquitto send the root along, as brokers often do
	cfg := config.Default()
	cfg.Device, cfg.DataDir, cfg.Link, cfg.Presence.Topic = "pump-07", t.TempDir(), config.LinkSystem, config.PresenceOff
	cfg.Broker.URL, cfg.Broker.CAFile = config.List{"mqtts://" + broker.addr}, ca.file
	full, again := streamBytes(t, cfg), streamBytes(t, cfg)
	// What the module puts on the air around them: 40 bytes of headers for each of about 14 and 11 packets.
	air := [2]uint64{full + 14*40, again + 11*40}
	t.Logf("bytes of the stream: full %d, resumed %d; with headers about %d and %d", full, again, air[0], air[1])
	if air[0] > 3400 || air[1] > 2200 || float64(again)/float64(full) > 0.65 {
		t.Errorf("full %d and resumed %d bytes, want at most 3400 and 2200 with headers, and a ratio of at most 0.65", air[0], air[1])
	}
	info, err := os.Stat(filepath.Join(cfg.DataDir, "tls-sessions"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the sessions: got mode %v, %v, want 0600: they are secrets", info.Mode(), err)
	}
	text, err := os.ReadFile(ca.file)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Broker.CAFile = writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), string(text)+"\n") // another file, the same authority
	if got := streamBytes(t, cfg); float64(got) < 0.9*float64(full) {
		t.Errorf("%d bytes: the session outlived a change of broker.ca_file", got)
	}
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
