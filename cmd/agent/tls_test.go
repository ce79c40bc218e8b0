package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/sysnet"
	"github.com/fieldpost/fieldpost/mqttconn"
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

// TestOwnCertificateExpires: a month before its end it is spoken of, in the log and in the status.
func TestOwnCertificateExpires(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ours")
	cert, key := ca.client()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	until := pair.Leaf.NotAfter
	for before, want := range map[time.Duration]string{
		31 * 24 * time.Hour: "",
		10 * 24 * time.Hour: "expires on " + until.UTC().Format(time.DateOnly) + ", in 10 d: put a new one into " + cert,
		-time.Hour:          "has expired on",
	} {
		own := ownCertificate{file: cert, until: until, now: func() time.Time { return until.Add(-before) }}
		if got := own.warning(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%v before: got %q, want %q", before, got, want)
		}
	}
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtts://127.0.0.1:1\", ca_file: %s, client_cert_file: %s, client_key_file: %s}\n", ca.file, cert, key))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor("certificate: the own one expires on", 20*time.Second)
	out, _, _ := call(t, "status", "--config", s.conf)
	says(t, out, "certificate", "the own one expires on")
}

// session opens and closes one with the broker as an agent of this configuration does that has just been started, and stops it.
func (a *authority) session(cfg *config.Config, addr string) (bytes uint64, resumed bool) {
	a.t.Helper()
	tc, err := brokerTLS(cfg.Broker)
	if err != nil {
		a.t.Fatal(err)
	}
	sessions, err := openTickets(cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	tc.ServerName, tc.ClientSessionCache = "127.0.0.1", sessions
	tc.VerifyConnection = func(s tls.ConnectionState) error {
		resumed = s.DidResume
		return nil
	}
	s, err := mqttconn.Connect(a.t.Context(), func(ctx context.Context) (mqttconn.Conn, error) {
		var d sysnet.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}, mqttconn.Config{ClientID: "pump-07", TLS: tc})
	if err != nil {
		a.t.Fatal(err)
	}
	if err := s.Close(a.t.Context()); err != nil {
		a.t.Error(err)
	}
	if err := sessions.save(); err != nil {
		a.t.Error(err)
	}
	st := s.Stats()
	return st.BytesUp + st.BytesDown, resumed
}

// TestTLSSessionsOutliveARestart resumes a session over restarts of the agent, until what it was verified with changes.
func TestTLSSessionsOutliveARestart(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ours")
	broker := startMosquitto(t, ca.server()+"cafile "+ca.file+"\n") // which makes Mosquitto send the root along, as brokers often do
	cfg := config.Default()
	cfg.DataDir, cfg.Broker.CAFile = t.TempDir(), ca.file
	full, resumed := ca.session(cfg, broker.addr)
	if resumed {
		t.Error("the first session was resumed")
	}
	again, resumed := ca.session(cfg, broker.addr)
	if !resumed {
		t.Error("the second session was not resumed")
	}
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
	if _, resumed := ca.session(cfg, broker.addr); resumed {
		t.Error("the session outlived a change of broker.ca_file")
	}
}

// TestBestTime: the bubble's clock begins in 2000, as a board's without a battery in 1970.
func TestBestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		cfg.DataDir = t.TempDir()
		open := func() *bestTime {
			t.Helper()
			b, err := openBestTime(cfg)
			if err != nil {
				t.Fatal(err)
			}
			b.built = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			return b
		}
		want := func(b *bestTime, want time.Time) {
			t.Helper()
			if got := b.now(); !got.Equal(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		b := open()
		want(b, b.built)
		time.Sleep(time.Hour)
		want(b, b.built.Add(time.Hour))
		told := time.Date(2027, 1, 1, 12, 30, 0, 0, time.UTC)
		b.network = func() (time.Time, string) { return told, "network" }
		want(b, told)
		if err := b.save(); err != nil {
			t.Fatal(err)
		}
		b = open() // without the network's word, and the host's clock still in 2000
		want(b, told.Truncate(time.Hour))
		b.network = func() (time.Time, string) { return time.Time{}, "" }
		time.Sleep(30 * 365 * 24 * time.Hour) // the host's clock is ahead of all
		b.seen = time.Time{}
		b.built = time.Time{}
		want(b, time.Now())
	})
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
