package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/agent/web/internal/serve"
	"github.com/fieldpost/fieldpost/queue"
)

// Config says where the socket is and what answers behind it. Path, Status, QueueStats, Put, Queue and Reconnect are required.
type Config struct {
	Path       string
	Status     func() agent.Status
	QueueStats func() agent.QueueStatus
	// Put stores one message and returns its sequence once it is on disk.
	Put func(context.Context, queue.Message) (uint64, error)
	// Usage is what went over the air; nil: nobody counts.
	Usage func() usage.Report
	// Queue is what the other routes of the queue work on.
	Queue Queue

	// Reconnect makes the link connect now; it doesn't block.
	Reconnect func()

	// Logged returns the last lines of the log, oldest first; nil: they are not kept.
	Logged func() []string

	// Modem is the module behind the link; nil: there is none.
	Modem Modem

	QoS        byte  // of messages that name none; 0 means QoS 0
	MaxPayload int64 // in bytes; 0 means source.DefaultMaxPayload
}

// Server answers the commands.
type Server struct {
	cfg  Config
	mux  *http.ServeMux
	jobs chan struct{} // holds one for each long request under way
}

// New makes a server; it opens nothing before Run.
func New(cfg Config) (*Server, error) {
	if cfg.Path == "" || cfg.Status == nil || cfg.QueueStats == nil || cfg.Put == nil || cfg.Queue == nil || cfg.Reconnect == nil {
		return nil, errors.New("control: Path, Status, QueueStats, Put, Queue and Reconnect are required")
	}
	if cfg.QoS > 2 {
		return nil, fmt.Errorf("control: QoS %d is none of 0, 1, 2", cfg.QoS)
	}
	if cfg.MaxPayload <= 0 {
		cfg.MaxPayload = source.DefaultMaxPayload
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), jobs: make(chan struct{}, maxJobs)}
	s.mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, cfg.Status()) })
	s.mux.HandleFunc("GET /v1/queue/stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, cfg.QueueStats()) })
	if cfg.Usage != nil {
		s.mux.HandleFunc("GET /v1/usage", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, cfg.Usage()) })
	}
	s.mux.HandleFunc("POST /v1/messages/{topic...}", s.put)
	s.mux.HandleFunc("POST /v1/reconnect", s.reconnect)
	s.mux.HandleFunc("GET /v1/log", s.log)
	s.handleModem()
	s.handleQueue()
	return s, nil
}

// Run opens the socket, serves until ctx ends and then removes the socket; requests under way may finish for two seconds.
// It fails with ErrRunning when another agent has the socket.
func (s *Server) Run(ctx context.Context) error {
	l, err := listen(ctx, s.cfg.Path)
	if err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

// Serve serves on l until ctx ends, and closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: 5 * time.Second, // a command on the same machine sends at once
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second, // a commit may wait for a slow card
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    256 << 10, // a topic has up to 65535 bytes, each escaped to three
	}
	// A request that outlives the grace is cut off: its command sees a broken connection, never a yes.
	if err := serve.Until(ctx, srv, l, 2*time.Second); err != nil {
		return fmt.Errorf("control: the socket %s has failed: %w", s.cfg.Path, err)
	}
	return nil
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the command has gone
}

func fail(w http.ResponseWriter, status int, code Code, text string) {
	reply(w, status, Error{Code: code, Message: text})
}

// reconnect asks for a connection now and doesn't wait for it.
func (s *Server) reconnect(w http.ResponseWriter, _ *http.Request) {
	s.cfg.Reconnect()
	reply(w, http.StatusAccepted, struct{}{})
}

// Log is the last lines of the running agent's log.
type Log struct {
	Schema int      `json:"schema"` // 1
	Lines  []string `json:"lines"`  // oldest first
}

func (s *Server) log(w http.ResponseWriter, _ *http.Request) {
	l := Log{Schema: 1, Lines: []string{}}
	if s.cfg.Logged != nil {
		l.Lines = append(l.Lines, s.cfg.Logged()...)
	}
	reply(w, http.StatusOK, l)
}
