package mqttconn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// authority is a CA that lives in the bubble, whose clock begins in the year 2000.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-24 * 365 * time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour),
	})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// server makes a broker's certificate.
func (a *authority) server(t *testing.T, name string, from, to time.Time) tls.Certificate {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{
		DNSNames: []string{name}, NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// dialTLS puts the broker behind TLS.
func (b *fakeBroker) dialTLS(config *tls.Config) mqttconn.DialFunc {
	return func(context.Context) (mqttconn.Conn, error) {
		w := newWire()
		b.mu.Lock()
		b.wires = append(b.wires, w)
		b.dials++
		b.mu.Unlock()
		b.group.Go(func() { b.serveOn(w, tls.Server(w.server(), config)) })
		return w.client(), nil
	}
}

func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		now := time.Now()
		serverConfig := &tls.Config{Certificates: []tls.Certificate{ca.server(t, "broker.example", now.Add(-time.Hour), now.Add(time.Hour))}}
		clientConfig := &tls.Config{RootCAs: ca.pool, ServerName: "broker.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		b := &fakeBroker{}

		var down []uint64
		for range 2 {
			s := connect(t, b.dialTLS(serverConfig), mqttconn.Config{ClientID: "pump-07", TLS: clientConfig})
			r := publish(t, s, mqttconn.Message{QoS: 1, Payload: make([]byte, 5000)})
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			st := s.Stats()
			if st.BytesUp <= st.PublishBytes+22*3 {
				t.Errorf("bytes are not counted below TLS: %+v", st)
			}
			down = append(down, st.BytesDown)
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b.group.Wait()
		if got := b.count("DISCONNECT"); got != 2 {
			t.Errorf("DISCONNECT arrived %d times, want twice", got)
		}
		if down[1] >= down[0]-300 { // no certificates the second time
			t.Errorf("the second handshake was not resumed: %d bytes down, then %d", down[0], down[1])
		}
	})
}

// TestTLSOffsets holds the count back by one byte of the stream below TLS.
func TestTLSOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		now := time.Now()
		serverConfig := &tls.Config{Certificates: []tls.Certificate{ca.server(t, "broker.example", now.Add(-time.Hour), now.Add(time.Hour))}}
		b := &fakeBroker{unacked: true}
		s := connect(t, b.dialTLS(serverConfig), mqttconn.Config{
			ClientID: "pump-07", TLS: &tls.Config{RootCAs: ca.pool, ServerName: "broker.example"},
		})
		synctest.Wait()
		w := b.wire()
		w.hold()
		r := publish(t, s, mqttconn.Message{QoS: 0, Payload: make([]byte, 100)})
		synctest.Wait()
		w.mu.Lock()
		w.ack(w.up.total() - 1)
		w.mu.Unlock()
		if isDone(r.Done()) {
			t.Error("released one byte early")
		}
		w.release()
		if !isDone(r.Done()) || r.Err() != nil {
			t.Error("not released at its last byte")
		}
	})
}

func TestCertificateProblems(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name     string
		cert     string
		from, to time.Duration
		foreign  bool // signed by another CA
		demands  bool // the broker demands a certificate of ours
		word     string
		advice   string
	}{
		{name: "wrong name", cert: "other.example", from: -day, to: day, word: "other.example", advice: "check the broker's host name"},
		{name: "expired", cert: "broker.example", from: -2 * day, to: -day, word: "expired", advice: "clock"},
		{name: "not yet valid", cert: "broker.example", from: day, to: 2 * day, word: "not yet valid", advice: "clock"},
		{name: "unknown CA", cert: "broker.example", from: -day, to: day, foreign: true, word: "unknown authority", advice: "check the CA"},
		{name: "client certificate missing", cert: "broker.example", from: -day, to: day, demands: true, word: "certificate required", advice: "clock"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := newAuthority(t)
				trusted := ca.pool
				if tt.foreign {
					trusted = newAuthority(t).pool
				}
				now := time.Now()
				config := &tls.Config{Certificates: []tls.Certificate{ca.server(t, tt.cert, now.Add(tt.from), now.Add(tt.to))}}
				if tt.demands {
					config.ClientAuth = tls.RequireAnyClientCert
				}
				b := &fakeBroker{}
				_, err := mqttconn.Connect(t.Context(), b.dialTLS(config), mqttconn.Config{
					ClientID: "pump-07", TLS: &tls.Config{RootCAs: trusted, ServerName: "broker.example"},
				})
				wantError(t, err, mqttconn.CauseCertificate, tt.word, "broker.example:1883", tt.advice)
				b.group.Wait() // the connection was closed
			})
		})
	}
}

func TestTLSAgainstPlainBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		dial := func(context.Context) (mqttconn.Conn, error) {
			w.down.write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			return w.client(), nil
		}
		_, err := mqttconn.Connect(t.Context(), dial, mqttconn.Config{ClientID: "pump-07", TLS: &tls.Config{ServerName: "broker.example"}})
		wantError(t, err, mqttconn.CauseTLS, "one without TLS: use the broker's TLS port")
	})
}

func TestTLSHandshakeTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		dial := func(context.Context) (mqttconn.Conn, error) { return w.client(), nil }
		_, err := mqttconn.Connect(t.Context(), dial, mqttconn.Config{ClientID: "pump-07", TLS: &tls.Config{ServerName: "broker.example"}})
		wantError(t, err, mqttconn.CauseTimeout, "TLS handshake")
		// One X25519 share: Go's default hello has 1.5 KB.
		if got := w.up.total(); got == 0 || got > 400 {
			t.Errorf("the first message has %d bytes, want at most 400", got)
		}
	})
}

// TestTLSTravelsWithMQTT counts writes, which are segments and sends of a module: ClientHello; the end of the handshake with
// CONNECT; DISCONNECT with close_notify.
func TestTLSTravelsWithMQTT(t *testing.T) {
	for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := newAuthority(t)
				now := time.Now()
				serverConfig := &tls.Config{Certificates: []tls.Certificate{ca.server(t, "broker.example", now.Add(-time.Hour), now.Add(time.Hour))}}
				b := &fakeBroker{}
				s := connect(t, b.dialTLS(serverConfig), mqttconn.Config{
					ClientID: "pump-07", TLS: &tls.Config{RootCAs: ca.pool, ServerName: "broker.example", MaxVersion: version},
				})
				opening := 2
				if version == tls.VersionTLS12 {
					opening = 3 // the handshake's last word is the server's
				}
				if got := b.wire().up.writeCalls(); got != opening {
					t.Errorf("%d writes until CONNACK, want %d", got, opening)
				}
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.group.Wait()
				if got := b.wire().up.writeCalls(); got != opening+1 {
					t.Errorf("%d writes until the end, want %d", got, opening+1)
				}
				if got := b.count("DISCONNECT"); got != 1 {
					t.Errorf("DISCONNECT arrived %d times, want once", got)
				}
			})
		})
	}
}

// TestBrokerLearnsWhyItsCertificateIsRefused wants the alert, although the connection is closed right behind it.
func TestBrokerLearnsWhyItsCertificateIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, now := newAuthority(t), time.Now()
		config := &tls.Config{Certificates: []tls.Certificate{ca.server(t, "broker.example", now.Add(-time.Hour), now.Add(time.Hour))}}
		w := newWire()
		dial := func(context.Context) (mqttconn.Conn, error) { return w.client(), nil }
		told := make(chan error, 1)
		go func() { told <- tls.Server(w.server(), config).Handshake() }()
		_, err := mqttconn.Connect(t.Context(), dial, mqttconn.Config{
			ClientID: "pump-07", TLS: &tls.Config{RootCAs: newAuthority(t).pool, ServerName: "broker.example"},
		})
		wantError(t, err, mqttconn.CauseCertificate)
		if err := <-told; !strings.Contains(fmt.Sprint(err), "remote error: tls:") {
			t.Errorf("the broker learned %v, want an alert", err)
		}
	})
}

// TestBrokerThatDoesNotHangUp is waited for after DISCONNECT, but not long.
func TestBrokerThatDoesNotHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		w.down.write([]byte{0x20, 2, 0, 0}) // CONNACK
		dial := func(context.Context) (mqttconn.Conn, error) { return w.client(), nil }
		s := connect(t, dial, mqttconn.Config{ClientID: "pump-07"})
		begun := time.Now()
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begun); got != 3*time.Second {
			t.Errorf("closed after %v, want 3s", got)
		}
	})
}
