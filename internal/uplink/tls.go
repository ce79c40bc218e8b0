package uplink

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/keep"
)

// brokerTLS makes what every TLS connection to a broker needs but the name. Reading it again is cheap: it opens nothing.
func brokerTLS(b config.Broker) (*tls.Config, error) {
	pool, err := roots(b.CAFile)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if b.ClientCertFile == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(b.ClientCertFile, b.ClientKeyFile)
	if err != nil {
		return nil, &config.Unusable{Key: fmt.Sprintf("broker.client_cert_file %s and broker.client_key_file %s", b.ClientCertFile, b.ClientKeyFile), Err: err}
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// roots reads the authorities that a broker's certificate may come from; nil means those of the system.
func roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &config.Unusable{Key: "broker.ca_file", Err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, &config.Unusable{Key: "broker.ca_file", Err: fmt.Errorf("%s holds no certificate in PEM form", file)}
	}
	return pool, nil
}

// tickets keeps TLS sessions over restarts, by server name: resuming one saves more than a third of a handshake's bytes.
type tickets struct {
	path string

	mu    sync.Mutex // guards what follows; held for copies only
	trust string     // what the sessions were verified with: they must not outlive a change of it
	kept  map[string]ticket
}

// ticket is a session as crypto/tls writes it. It holds secrets, so the file is the owner's alone.
type ticket struct {
	Ticket []byte `json:"ticket"`
	State  []byte `json:"state"`
}

type ticketFile struct {
	Trust   string            `json:"trust"`
	Tickets map[string]ticket `json:"tickets"`
}

var _ tls.ClientSessionCache = (*tickets)(nil)

// openTickets reads the sessions of an earlier run that was configured alike. The error is no reason to stop.
func openTickets(cfg *config.Config) (*tickets, error) {
	t := &tickets{path: filepath.Join(cfg.DataDir, "tls-sessions"), trust: trustOf(cfg.Broker), kept: make(map[string]ticket)}
	var file ticketFile
	err := keep.Load(t.path, &file)
	if err == nil && file.Trust == t.trust && file.Tickets != nil {
		t.kept = file.Tickets
	}
	return t, err
}

// trustOf identifies the files that a session was verified with.
func trustOf(b config.Broker) string {
	sum := sha256.New()
	for _, name := range []string{b.CAFile, b.ClientCertFile} {
		content, _ := os.ReadFile(name) // one that can't be read has stopped the start
		fmt.Fprintf(sum, "%d\n%s", len(content), content)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (t *tickets) Get(server string) (*tls.ClientSessionState, bool) {
	t.mu.Lock()
	kept, ok := t.kept[server]
	t.mu.Unlock()
	if !ok {
		return nil, false
	}
	state, err := tls.ParseSessionState(kept.State)
	if err != nil {
		return nil, false // of another version of the program
	}
	session, err := tls.NewResumptionState(kept.Ticket, state)
	return session, err == nil
}

func (t *tickets) Put(server string, session *tls.ClientSessionState) {
	kept, err := packTicket(session)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		delete(t.kept, server)
		return
	}
	t.kept[server] = kept
}

func packTicket(session *tls.ClientSessionState) (ticket, error) {
	if session == nil { // the server has refused to resume it
		return ticket{}, errors.New("no session")
	}
	raw, state, err := session.ResumptionState()
	if err != nil {
		return ticket{}, err
	}
	bytes, err := state.Bytes()
	return ticket{raw, bytes}, err
}

func (t *tickets) save() error {
	t.mu.Lock()
	file := ticketFile{t.trust, make(map[string]ticket, len(t.kept))}
	for server, kept := range t.kept {
		file.Tickets[server] = kept
	}
	t.mu.Unlock()
	return keep.Save(t.path, file)
}
