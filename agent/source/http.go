package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	stdlog "log"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/source/reading"
)

// HTTPConfig describes a local HTTP listener.
type HTTPConfig struct {
	Address string // to listen on, HOST:PORT
	Sink    Sink
	Limits  Limits
	Rate    Rate         // of each client, told apart by IP address; more is answered by 429
	Token   string       // bearer token that requests must carry; "": none
	Hosts   []string     // names under which the listener may be addressed, beside its own
	QoS     byte         // of messages that name none
	Influx  reading.Rule // of influx lines: Device, Topic and Payload count
	Log     zerolog.Logger
	Listen  ListenFunc // nil: TCP
}

// HTTP is a local HTTP listener. It takes
//
//	POST /v1/messages/TOPIC   the body is the payload
//	POST /v1/messages         the body is JSON lines, each a message; all are taken or none
//	POST /v1/influx           the body is lines of influx's protocol; all are taken or none
//
// and answers 202 when the messages are on disk, 429 to who brings more than its Rate. The parameters qos, retain,
// lane and expiry of the query apply to each message that doesn't have its own;
// precision says in which unit of time influx lines are stamped.
type HTTP struct {
	cfg       HTTPConfig
	tally     tally
	shares    *shares
	batches   turn // taken by each batch under way
	admission atomic.Pointer[admission]
}

// admission is which requests are let through.
type admission struct {
	token [sha256.Size]byte
	asks  bool     // for the token
	hosts []string // bare
}

// Admit puts another token and other names in force, for requests from now on; see HTTPConfig.
func (s *HTTP) Admit(token string, hosts []string) {
	a := &admission{token: sha256.Sum256([]byte(token)), asks: token != ""}
	for _, h := range hosts {
		a.hosts = append(a.hosts, bareHost(h))
	}
	s.admission.Store(a)
}

// NewHTTP makes a listener; Run opens it.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if cfg.Sink == nil || cfg.Address == "" {
		return nil, errors.New("source: HTTP needs a Sink and an Address")
	}
	s := &HTTP{
		cfg:     cfg,
		shares:  newShares(cfg.Rate, maxBatch, max(maxBatchBytes, cfg.Limits.maxPayload()+maxTopic)),
		batches: make(turn, maxBatches),
	}
	s.Admit(cfg.Token, cfg.Hosts)
	s.tally.listening(s.Name(), cfg.Address)
	return s, nil
}

// Name returns "http".
func (s *HTTP) Name() string { return "http" }

// Status returns what was taken in since the start.
func (s *HTTP) Status() agent.SourceStatus { return s.tally.read() }

const (
	maxConns  = 64      // more wait in the system's backlog
	maxHeader = 8 << 10 // the topic stands in the first line; Go adds 4 KiB
	// bodyTimeout is for a whole request: a sensor on the local network that
	// takes longer has gone.
	bodyTimeout = 30 * time.Second
)

// Run listens until ctx ends and returns nil then, when the requests that had
// begun are answered.
func (s *HTTP) Run(ctx context.Context) error {
	ln, err := listen(ctx, s.cfg.Listen, s.cfg.Address, "sources.http.listen")
	if err != nil {
		s.tally.failed(err)
		return err
	}
	s.tally.listening(s.Name(), ln.Addr().String())
	log := quiet(s.cfg.Log, s.Name())
	server := &http.Server{
		Handler:           s.handler(log, ln.Addr().String()),
		ReadHeaderTimeout: connectTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      bodyTimeout + 2*acceptTimeout, // a batch may wait for its turn, and then for the disk
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          stdlog.New(log, "", 0),
	}
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
	})
	err = server.Serve(steadyListener{netutil.LimitListener(ln, maxConns), log})
	if stop() { // it ended by itself
		return fmt.Errorf("source: the HTTP listener has ended: %w", err)
	}
	<-drained
	return nil
}
