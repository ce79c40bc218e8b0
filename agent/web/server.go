package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web/internal/serve"
)

// Limits of what all clients together can ask of a small board.
const (
	maxConns   = 64 // LimitNOFILE of the unit is 512
	maxStreams = 12 // a person has a few tabs open; each costs a status a second
)

// Config says where the page is and what it shows. Status is required.
type Config struct {
	Listen string              // address; "" means 127.0.0.1:8080
	Status func() agent.Status // must not block
	// Hosts are further names under which the page may be asked for, without ports. The loopback names, the listening
	// host and the address on which a connection came in are always allowed.
	Hosts []string
	// Token is asked for as the password of HTTP Basic authentication (with any user name) or as a bearer token, except by
	// the health checks; "" means that none is needed, which only the loopback interface allows.
	Token string
	// ReadyGrace is how long a starting agent counts as ready without a session; 0 means 2 min, in which a module that
	// works has registered and connected.
	ReadyGrace time.Duration
	// PointEvery is the time between two points of the charts, which hold 1440 of them; 0 means a minute.
	PointEvery time.Duration
	// Reach is how far back the charts go at most, by the status' own time; 0 means a day.
	Reach time.Duration
	// Logged returns the last lines of the log as JSON objects, oldest first; nil: the page shows none.
	Logged func() []string
	// Actions are what the page can do. They are there only while a token is asked for.
	Actions []Action
	Log     zerolog.Logger
}

// Server shows the status of one agent.
type Server struct {
	cfg     Config
	guard   *guard
	history *history
	handler http.Handler
	streams chan struct{} // holds a value for each event stream
	acting  chan struct{} // holds a value while an action is under way
}

// New makes a server; it opens nothing before Run.
func New(cfg Config) (*Server, error) {
	if cfg.Status == nil {
		return nil, errors.New("web: Status is required")
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:8080"
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("web: listen %q is no address with a port, such as 127.0.0.1:8080: %w", cfg.Listen, err)
	}
	if cfg.Token == "" && !loopback(host) {
		return nil, fmt.Errorf("web: listen %s can be reached by other machines and no token is set: set web.token_file, or listen on 127.0.0.1", cfg.Listen)
	}
	if cfg.ReadyGrace <= 0 {
		cfg.ReadyGrace = 2 * time.Minute
	}
	if cfg.PointEvery <= 0 {
		cfg.PointEvery = time.Minute
	}
	if cfg.Reach <= 0 {
		cfg.Reach = 24 * time.Hour
	}
	s := &Server{
		cfg:     cfg,
		guard:   newGuard(host, cfg.Hosts, cfg.Token),
		history: new(history),
		streams: make(chan struct{}, maxStreams),
		acting:  make(chan struct{}, 1),
	}
	s.handler = s.guard.wrap(s.routes())
	return s, nil
}

// Admit puts another token and other names in force, for requests from now on; see Config. It is the caller's to see that
// there is a token where other machines reach the page.
func (s *Server) Admit(token string, hosts []string) { s.guard.admit(hosts, token) }

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /live", s.live)
	mux.Handle("GET /assets/", assets())
	mux.HandleFunc("GET /api/v1/status", s.status)
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.HandleFunc("POST /api/v1/actions/{name}", s.act)
	mux.Handle("GET /metrics", metrics(s.cfg.Status))
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}

// Handler returns what Run serves, with all its checks.
func (s *Server) Handler() http.Handler { return s.handler }

// Run listens and serves until ctx ends, and returns nil then.
func (s *Server) Run(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("web: the status page can't listen on %s: %w: free the port or change web.listen", s.cfg.Listen, err)
	}
	return s.Serve(ctx, l)
}

// Serve serves on l until ctx ends, returns nil then, and closes l. It also keeps the charts' history.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		s.history.record(ctx, s.cfg.PointEvery, s.cfg.Status)
	}()
	defer func() {
		cancel()
		<-recorded
	}()
	s.cfg.Log.Info().Stringer("address", l.Addr()).Msg("status page is up")
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second, // event streams renew it with each event
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends the event streams
		ErrorLog:          errorLog(s.cfg.Log),
	}
	if err := serve.Until(ctx, srv, netutil.LimitListener(l, maxConns), time.Second); err != nil {
		return fmt.Errorf("web: listening on %s has failed: %w", l.Addr(), err)
	}
	return nil
}
