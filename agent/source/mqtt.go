package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
)

// MQTTConfig describes a local MQTT listener.
type MQTTConfig struct {
	Address    string // to listen on, HOST:PORT
	Sink       Sink
	Limits     Limits
	QoS        byte   // of the messages on their way to the broker; a client's own QoS ends at this listener
	Users      *Users // nil: no login
	MaxClients int    // connections at a time; 0 means 32
	Rate       Rate   // of each client, told apart by client id; who brings more is read more slowly
	Forward    string // the levels before the topics that clients may subscribe to, see MQTT.Forward; "": there are none
	Log        zerolog.Logger
	Listen     ListenFunc // nil: TCP
}

// MQTT is a local MQTT listener.
type MQTT struct {
	cfg    MQTTConfig
	tally  tally
	door   atomic.Pointer[door]  // of the run under way; nil: none
	users  atomic.Pointer[Users] // nil: no login
	shares *shares
}

// SetUsers puts other users in force: for logins from now on, and for what those that are logged in may publish. A client
// whose user is gone is disconnected at its next message. Whether there are users at all is decided by MQTTConfig.
func (s *MQTT) SetUsers(users *Users) {
	if users != nil && s.cfg.Users != nil {
		s.users.Store(users)
	}
}

// NewMQTT makes a listener; Run opens it.
func NewMQTT(cfg MQTTConfig) (*MQTT, error) {
	if cfg.Sink == nil || cfg.Address == "" {
		return nil, errors.New("source: MQTT needs a Sink and an Address")
	}
	if cfg.MaxClients == 0 {
		cfg.MaxClients = 32
	}
	s := &MQTT{cfg: cfg, shares: newShares(cfg.Rate, 1, cfg.Limits.maxPayload()+maxTopic)}
	s.users.Store(cfg.Users)
	s.tally.listening(s.Name(), cfg.Address)
	return s, nil
}

// Name returns "mqtt".
func (s *MQTT) Name() string { return "mqtt" }

// Status returns what was taken in since the start.
func (s *MQTT) Status() agent.SourceStatus { return s.tally.read() }

// Run listens until ctx ends and returns nil then. It returns when all
// connections are closed and all their goroutines have ended; commits that have
// begun get a moment to end well.
func (s *MQTT) Run(ctx context.Context) error {
	ln, err := listen(ctx, s.cfg.Listen, s.cfg.Address, "sources.mqtt.listen")
	if err != nil {
		s.tally.failed(err)
		return err
	}
	s.tally.listening(s.Name(), ln.Addr().String())

	accepting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	d := &door{
		cfg:       s.cfg,
		users:     s.users.Load,
		tally:     &s.tally,
		shares:    s.shares,
		log:       quiet(s.cfg.Log, s.Name()),
		accepting: accepting,
		conns:     make(map[*conn]bool),
		clients:   make(map[string]*conn),
	}
	if err := d.build(); err != nil {
		ln.Close()
		return err
	}
	s.door.Store(d)
	defer s.door.Store(nil)
	stop := context.AfterFunc(ctx, func() {
		ln.Close()
		d.closeAll()
		time.AfterFunc(drainTimeout, giveUp)
	})
	defer stop()

	err = d.serve(steadyListener{ln, d.log})
	d.closeAll()
	d.work.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("source: the MQTT listener has ended: %w", err)
}

// A door is one run of an MQTT source. The protocol is the library's; whom to
// let in, what to take and when to hang up is decided here. Of the library's
// server only the handling of a connection is used: its own listeners stop at
// the first error and wait for ever for a silent client, and its housekeeping
// goes by the wall clock.
type door struct {
	cfg       MQTTConfig
	users     func() *Users // in force
	tally     *tally
	shares    *shares
	log       zerolog.Logger
	server    *mqtt.Server
	accepting context.Context // ends when commits must not go on
	work      sync.WaitGroup  // one for each connection

	mu      sync.Mutex
	closed  bool             // guarded by mu
	conns   map[*conn]bool   // guarded by mu: all that are open
	number  uint64           // guarded by mu: of the newest connection
	clients map[string]*conn // guarded by mu: the one that holds a client id
	forward *forward         // guarded by mu: the message under way to local clients; nil: none
}

const (
	// connectTimeout is how long a client has to say who it is.
	connectTimeout = 10 * time.Second
	// maxInflight is how many QoS 2 messages of one client may wait for their
	// PUBREL. Each costs about a kilobyte.
	maxInflight = 256
	// maxTopic is what MQTT allows; a little is added for the other fields.
	maxTopic = 65535 + 64
)

func (d *door) build() error {
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumPacketSize = uint32(d.cfg.Limits.maxPayload() + maxTopic)
	capabilities.ReceiveMaximum = maxInflight
	capabilities.MaximumInflight = maxInflight
	capabilities.MaximumClientWritesPending = 16 // forwarded messages, of which one is under way at a time
	capabilities.MaximumMessageExpiryInterval = 0
	capabilities.TopicAliasMaximum = 0
	capabilities.MinimumProtocolVersion = protocolVersion
	d.server = mqtt.New(&mqtt.Options{
		Capabilities: capabilities,
		Logger:       slog.New(slog.DiscardHandler), // it would log whole packets
	})
	if err := d.server.AddHook(&hook{door: d}, nil); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// serve returns when the listener is closed.
func (d *door) serve(ln net.Listener) error {
	for {
		raw, err := ln.Accept()
		if err != nil {
			return err
		}
		c := &conn{Conn: raw, closing: make(chan struct{}), done: make(chan struct{})}
		if !d.admit(c) {
			raw.Close()
			continue
		}
		d.work.Go(func() { d.handle(c) })
	}
}

// admit notes a new connection, unless there are enough.
func (d *door) admit(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	if len(d.conns) >= d.cfg.MaxClients && !d.makeRoom() {
		d.log.Warn().Stringer("remote", c.RemoteAddr()).Int("max_clients", d.cfg.MaxClients).
			Msg("connection refused: there are too many (sources.mqtt.max_clients)")
		return false
	}
	d.number++
	c.number = d.number
	d.conns[c] = true
	return true
}

// handle serves one connection to its end. A panic of the library over a
// malformed packet ends this connection and nothing else.
func (d *door) handle(c *conn) {
	defer d.leave(c)
	defer func() {
		if p := recover(); p != nil {
			d.log.Error().Str("client", c.id).Stringer("remote", c.RemoteAddr()).
				Str("panic", fmt.Sprintf("%.200v", p)).Msg("connection closed: it sent what can't be parsed")
		}
	}()
	if err := c.SetDeadline(time.Now().Add(connectTimeout)); err != nil {
		return
	}
	err := d.server.EstablishConnection("local", c)
	if c.refused == nil && err != nil {
		d.log.Debug().Err(err).Str("client", c.id).Msg("connection ended")
	}
}

func (d *door) leave(c *conn) {
	c.Close()
	d.mu.Lock()
	delete(d.conns, c)
	if d.clients[c.id] == c {
		delete(d.clients, c.id)
	}
	d.mu.Unlock()
	close(c.done)
}

func (d *door) closeAll() {
	d.mu.Lock()
	d.closed = true
	open := make([]*conn, 0, len(d.conns))
	for c := range d.conns {
		open = append(open, c)
	}
	d.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

func (d *door) stopping() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}
