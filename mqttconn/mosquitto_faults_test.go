package mqttconn_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// What a real broker does when it is killed, stopped, wiped, or set up against us.

// drained delivers what is left over one connection and fails the test if that isn't all.
func (q *fakeQueue) drained(t *testing.T, m *mosquitto, present bool) {
	t.Helper()
	resume, left := q.start()
	s := connect(t, m.dial, mqttconn.Config{ClientID: "pump-07", Journal: q, Resume: resume})
	if s.SessionPresent() != present {
		t.Errorf("session present: got %v, want %v", s.SessionPresent(), present)
	}
	q.deliver(t, s, left)
	if _, left := q.start(); len(left) > 0 {
		t.Errorf("%d messages are left", len(left))
	}
}

// interrupted delivers until so many messages are proven, then does something to the broker, and returns why the session ended.
func (q *fakeQueue) interrupted(t *testing.T, m *mosquitto, after uint64, what func()) error {
	t.Helper()
	resume, left := q.start()
	s := connect(t, m.dial, mqttconn.Config{ClientID: "pump-07", Journal: q, Resume: resume, AnswerTimeout: time.Second})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.Stats().Proven < after && s.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		what()
	}()
	q.deliver(t, s, left)
	<-done
	<-s.Done()
	return s.Err()
}

// TestMosquittoKilled: what it has acknowledged may be gone with it, but nothing that it has not.
func TestMosquittoKilled(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true")
	q := newFakeQueue(2, 200)
	err := q.interrupted(t, m, 30, func() {
		_ = m.process.Process.Kill()
		_ = m.process.Wait()
	})
	if err == nil {
		t.Error("the session has outlived the broker")
	}
	_, left := q.start()
	if len(left) == 0 || len(left) > 170 {
		t.Fatalf("%d of 200 messages are left, want some", len(left))
	}
	m.start(t)
	m.subscribe(t)
	q.drained(t, m, false) // its session was in memory
	want := []string{}
	for _, l := range left {
		want = append(want, string(l.Payload))
	}
	if diff := cmp.Diff(want, m.collected(t, "reading 200")); diff != "" {
		t.Errorf("what was left (-want +got):\n%s", diff)
	}
}

// TestMosquittoStopped: its kernel takes the bytes, and nothing answers. The wait has an end that names the message, and nothing
// comes twice when it goes on.
func TestMosquittoStopped(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true")
	m.subscribe(t)
	q := newFakeQueue(2, 200)
	err := q.interrupted(t, m, 30, func() { _ = m.process.Process.Signal(syscall.SIGSTOP) })
	_ = m.process.Process.Signal(syscall.SIGCONT)
	wantError(t, err, mqttconn.CauseUnanswered, "does not answer")
	if own, ok := err.(*mqttconn.Error); !ok || own.Seq == 0 {
		t.Errorf("the message that is waited for is not named: %#v", err)
	}
	q.drained(t, m, true)
	if diff := cmp.Diff(readings(200), m.collected(t, "reading 200")); diff != "" {
		t.Errorf("exactly once and in order is broken (-want +got):\n%s", diff)
	}
}

// TestMosquittoWiped loses its store between two starts.
func TestMosquittoWiped(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true")
	q := newFakeQueue(2, 200)
	_ = q.interrupted(t, m, 30, m.stop)
	_, left := q.start()
	if err := os.Remove(filepath.Join(filepath.Dir(m.config), "mosquitto.db")); err != nil {
		t.Fatal(err)
	}
	m.start(t)
	m.subscribe(t)
	q.drained(t, m, false)
	got := m.collected(t, "reading 200")
	for _, l := range left {
		if !slices.Contains(got, string(l.Payload)) {
			t.Errorf("%s was lost with the broker's session", l.Payload)
		}
	}
}

// TestMosquittoDenies: MQTT 3.1.1 has no way to refuse a message, so Mosquitto acknowledges what it then drops. Only a receipt of
// the application can tell; here it is written down that no client can.
func TestMosquittoDenies(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte("topic read site/#\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{"ACL": "acl_file " + acl, "message_size_limit": "message_size_limit 5"} {
		t.Run(name, func(t *testing.T) {
			m := startMosquitto(t, "allow_anonymous true\n"+config)
			s := connect(t, m.dial, mqttconn.Config{ClientID: "pump-07"})
			if err := publish(t, s, mqttconn.Message{Seq: 1, QoS: 1, Payload: []byte("reading 1")}).Err(); err != nil {
				t.Errorf("got %v: Mosquitto has begun to tell, and docs/operations.md says that it doesn't", err)
			}
		})
	}
}

// TestMosquittoHangsUpOnTooMuch: a packet over its limit ends the connection, which names no message but is told apart.
func TestMosquittoHangsUpOnTooMuch(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true\nmax_packet_size 200")
	s := connect(t, m.dial, mqttconn.Config{ClientID: "pump-07"})
	r := publish(t, s, mqttconn.Message{Seq: 1, QoS: 1, Payload: make([]byte, 1000)})
	if r.Err() == nil {
		t.Error("a message over the broker's limit was proven")
	}
	<-s.Done()
	wantError(t, s.Err(), mqttconn.CauseHungUp)
}

// TestMosquittoSecondClient takes the session over by its name.
func TestMosquittoSecondClient(t *testing.T) {
	m := startMosquitto(t, "allow_anonymous true")
	first := connect(t, m.dial, mqttconn.Config{ClientID: "pump-07"})
	second := connect(t, m.dial, mqttconn.Config{ClientID: "pump-07"})
	<-first.Done()
	wantError(t, first.Err(), mqttconn.CauseHungUp)
	if err := publish(t, second, mqttconn.Message{Seq: 1, QoS: 2}).Err(); err != nil {
		t.Errorf("the second client: %v", err)
	}
}

// TestMosquittoCertificates shows one that has expired, and one of an authority that isn't ours.
func TestMosquittoCertificates(t *testing.T) {
	ca, now := newAuthority(t), time.Now()
	for name, tc := range map[string]struct {
		until time.Time
		roots *x509.CertPool
		words []string // the cause, and what to do
	}{
		"expired":  {now.Add(-time.Hour), ca.pool, []string{"expired", "clock"}},
		"wrong CA": {now.Add(time.Hour), newAuthority(t).pool, []string{"unknown authority", "check the CA"}},
	} {
		t.Run(name, func(t *testing.T) {
			pair := ca.server(t, "broker.example", now.Add(-2*time.Hour), tc.until)
			der, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "EC PRIVATE KEY", Bytes: der}} {
				if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m := startMosquitto(t, fmt.Sprintf("allow_anonymous true\ncertfile %s\nkeyfile %s", cert, key))
			_, err = mqttconn.Connect(t.Context(), m.dial, mqttconn.Config{ClientID: "pump-07", TLS: &tls.Config{ServerName: "broker.example", RootCAs: tc.roots}})
			wantError(t, err, mqttconn.CauseCertificate, tc.words...)
		})
	}
}
