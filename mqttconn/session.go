package mqttconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// errClosed is the end of a session by Close.
var errClosed = &Error{Op: "session", Cause: CauseClosed, Err: errors.New("closed on this side")}

// Session is one MQTT connection. All methods are safe for concurrent use.
type Session struct {
	client  mqtt.Client
	guard   *guard
	ledger  *ledger
	inbox   *inbox
	lower   *lowerConn
	handler func(context.Context, Delivery) error
	resumed []*Receipt
	present bool

	turn    chan struct{} // capacity 1: whoever holds it publishes
	cancel  context.CancelFunc
	workers sync.WaitGroup
	closing sync.Once

	failing  sync.Once
	err      error         // written once, before done is closed
	quiet    time.Duration // likewise: how long nothing had moved
	done     chan struct{} // the session has ended
	standing chan struct{} // closed when the broker has accepted it
	settled  chan struct{} // closed when it has answered for the subscriptions
	stopped  chan struct{} // and every goroutine of it
}

// Connect opens a connection with dial, once, and a session on it. It returns when the broker has accepted the session and
// the flights of [Config.Resume] are on their way, if the broker has kept the session.
//
// It blocks for at most [Config.ConnectTimeout], provided that dial honours its context. Its errors are [*Error].
func Connect(ctx context.Context, dial DialFunc, cfg Config) (*Session, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()

	lower, conn, err := open(ctx, dial, cfg)
	if err != nil {
		return nil, err
	}
	s := newSession(lower, conn, cfg)
	if err := s.shakeHands(ctx, cfg); err != nil {
		s.end(err)
		<-s.stopped
		return nil, s.err
	}
	return s, nil
}

// open dials, and shakes hands for TLS.
func open(ctx context.Context, dial DialFunc, cfg Config) (*lowerConn, net.Conn, error) {
	c, err := dial(ctx)
	if err != nil {
		return nil, nil, newError("connect", err)
	}
	lower := newLowerConn(c, cfg.Air)
	if cfg.TLS == nil {
		return lower, lower, nil
	}
	conn, err := secure(ctx, lower, cfg.TLS)
	if err != nil {
		return nil, nil, err
	}
	return lower, conn, nil
}

func newSession(lower *lowerConn, conn net.Conn, cfg Config) *Session {
	s := &Session{
		lower: lower, inbox: newInbox(), handler: cfg.Handler,
		turn: make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{}),
		standing: make(chan struct{}), settled: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.ledger = newLedger(cfg, s.end)
	s.guard = newGuard(lower, conn, cfg, s.ledger, s.end)
	s.ledger.heard = s.guard.answered

	flights := usable(cfg.Resume)
	for _, r := range flights {
		s.resumed = append(s.resumed, s.ledger.resume(r).receipt)
	}
	s.client = mqtt.NewClient(s.options(cfg, flights))

	s.workers.Go(func() { s.guard.send(ctx) })
	s.workers.Go(func() { s.guard.keepAlive(ctx) })
	s.workers.Go(func() { s.ledger.prove(ctx, lower.WaitAcked) })
	s.workers.Go(func() { s.inbox.serve(ctx, cfg.Handler) })
	s.workers.Go(func() { s.settle(ctx, cfg) })
	return s
}

// options makes Paho a plain speaker of MQTT: it dials, retries and keeps nothing by itself.
func (s *Session) options(cfg Config, flights []Resume) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.Servers = []*url.URL{{Scheme: "tcp", Host: "broker"}} // Paho wants one; the connection is already open
	o.SetClientID(cfg.ClientID)
	o.SetUsername(cfg.Username)
	o.SetPassword(cfg.Password)
	o.SetProtocolVersion(4) // otherwise a refusal makes Paho dial again as 3.1
	o.SetCleanSession(cfg.Clean)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetKeepAlive(0) // the guard pings
	o.SetWriteTimeout(handOver)
	o.SetOrderMatters(true) // inbox.put never blocks
	o.SetAutoAckDisabled(true)
	o.SetDefaultPublishHandler(s.inbox.put)
	o.OnConnectionLost = nil
	o.SetStore(&resumeStore{flights: flights, present: func() bool {
		hello := s.guard.hello()
		return hello != nil && hello.present && !cfg.Clean
	}})
	if w := cfg.Will; w != nil {
		o.SetBinaryWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	var once sync.Once
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (conn net.Conn, err error) {
		err = errEnded
		once.Do(func() { conn, err = s.guard, nil })
		return conn, err
	})
	return o
}

// shakeHands sends CONNECT, waits for CONNACK, and takes up the flights. It also starts the goroutine that tidies up.
func (s *Session) shakeHands(ctx context.Context, cfg Config) error {
	token := s.client.Connect()
	go s.tidy(token) // Close waits for it through stopped

	stop := context.AfterFunc(ctx, func() { s.end(s.tooLate(ctx.Err(), cfg.ConnectTimeout)) })
	defer stop()
	select {
	case <-token.Done():
	case <-s.done:
		return s.err
	}
	if err := token.Error(); err != nil {
		select {
		case <-s.done: // the guard knows why
			return s.err
		default:
			return newError("connect", err)
		}
	}
	hello := s.guard.hello()
	if hello == nil {
		return &Error{Op: "connect", Cause: CauseProtocol, Err: errors.New("the MQTT client is content without CONNACK")}
	}
	if s.present = hello.present && !cfg.Clean; !s.present {
		s.resumed = nil
		s.ledger.forget()
		if err := clearJournal(ctx, cfg.Journal); err != nil {
			return err
		}
	}
	if !stop() { // the context ended just now, and the session with it
		<-s.done
		return s.err
	}
	close(s.standing)
	return nil
}

// clearJournal forgets packet ids that a new session of the broker does not know.
func clearJournal(ctx context.Context, j Journal) error {
	if j == nil {
		return nil
	}
	if err := j.Clear(ctx); err != nil {
		return &Error{Op: "connect", Cause: CauseJournal, Err: fmt.Errorf("packet ids could not be cleared: %w", err)}
	}
	return nil
}

// tooLate is the error for a handshake that the context has ended.
func (s *Session) tooLate(err error, limit time.Duration) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Op: "connect", Cause: CauseTimeout,
			Err: fmt.Errorf("broker %s sent no CONNACK within the %v for connecting: %w", s.lower.RemoteAddr(), limit, err)}
	}
	return newError("connect", err)
}

// end ends the session. Receipts fail and Done closes at once; tidy does what may take time.
func (s *Session) end(err error) {
	s.failing.Do(func() {
		s.err = err
		s.quiet, _ = s.lower.quiet()
		s.guard.end()
		s.ledger.end(err)
		close(s.done)
	})
}

// tidy waits for the end of the session and then for every goroutine of it.
func (s *Session) tidy(connecting mqtt.Token) {
	<-s.done
	s.cancel()
	_ = s.lower.Close() // wakes the reader and the writer
	<-connecting.Done()
	s.client.Disconnect(quiesce)
	s.workers.Wait()
	close(s.stopped)
}

// quiesce bounds, in milliseconds, how long Paho may take to stop its goroutines, none of which blocks any more then.
const quiesce = 5000

// handOver bounds how long Paho's Publish and Subscribe wait for its goroutines. These never block, since the guard does not,
// but they are gone when the connection ends in just that moment, which Paho's Publish does not notice.
const handOver = 5 * time.Second

// Publish hands over one message and returns when it is queued for the connection, in the order of the calls. It blocks
// while the window is full. The message's slices may be used again when it has returned.
//
// A flight that is held ([Resume]) leaves as it was resumed, under its packet id, whatever the window.
//
// The error wraps [ErrInvalid] for a message that MQTT cannot carry, is the context's if that ends first, and otherwise
// says why the session has ended. After an error the message was not sent or is not proven: there is no receipt.
func (s *Session) Publish(ctx context.Context, m Message) (*Receipt, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.done:
		return nil, s.lost()
	case <-ctx.Done():
		return nil, newError("publish", ctx.Err())
	}
	if r, parked := s.ledger.letGo(m.Seq); r != nil {
		if parked != nil {
			s.guard.enqueue(*parked) // else the session is ending, and the receipt with it
		}
		return r, nil
	}
	e, err := s.ledger.admit(ctx, m)
	if err != nil {
		select {
		case <-s.done:
			return nil, s.lost()
		default:
			return nil, newError("publish", err)
		}
	}
	// Paho takes the message, and the guard sees it, in a moment; or it fails within handOver.
	token := s.client.Publish(m.Topic, m.QoS, m.Retain, m.Payload)
	select {
	case <-e.begun:
		return e.receipt, nil
	case <-s.done:
	case <-token.Done():
		// Either an error or, since the guard comes first, begun as well.
	}
	if s.ledger.withdraw(e) {
		err := token.Error()
		select {
		case <-s.done:
			return nil, s.lost()
		default:
			return nil, newError("publish", err)
		}
	}
	return e.receipt, nil
}

// lost is the error of Publish after the end of the session.
func (s *Session) lost() error {
	return &Error{Op: "publish", Cause: CauseOf(s.err), Err: fmt.Errorf("connection ended: %w", bare(s.err))}
}

// SessionPresent says whether the broker has kept the session of an earlier connection.
func (s *Session) SessionPresent() bool { return s.present }

// Resumed are the receipts of the flights that were taken up again, in order. A flight of [Config.Resume] that is not among
// them, by Seq, is to be published again; without a kept session these are all.
func (s *Session) Resumed() []*Receipt { return s.resumed }

// Done is closed when the session has ended, by itself or by Close.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err is why the session has ended, nil before Done is closed.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stats counts what has happened so far.
func (s *Session) Stats() Stats {
	st := s.ledger.snapshot()
	g := s.guard.snapshot()
	st.Pings, st.PingBytes, st.Oversize = g.Pings, g.PingBytes, g.Oversize
	s.inbox.mu.Lock()
	st.Received, st.Dropped = s.inbox.received, s.inbox.dropped
	s.inbox.mu.Unlock()
	st.BytesUp = s.lower.Written() - s.lower.start
	st.BytesDown = s.lower.read.Load()
	return st
}

// Close ends the session: it writes what is queued, says DISCONNECT, so that the broker drops the last will, and waits
// until every goroutine of the session has gone. It does not wait for proofs: receipts that are open fail.
//
// When ctx ends first, Close breaks the connection off. It must also be called after Done, and may be called again.
// The error is the context's, and only if the connection below keeps goroutines from ending.
func (s *Session) Close(ctx context.Context) error {
	s.closing.Do(func() { s.leave(ctx) })
	select {
	case <-s.stopped:
		return nil
	default:
	}
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return newError("close", fmt.Errorf("the connection to %s does not let go: %w", s.lower.RemoteAddr(), ctx.Err()))
	}
}

// leave says goodbye if there is still somebody to say it to.
func (s *Session) leave(ctx context.Context) {
	left := make(chan struct{})
	go func() { // ends with Paho's goroutines, at the latest after quiesce
		defer close(left)
		s.client.Disconnect(quiesce)
	}()
	select {
	case <-s.guard.flushed:
		<-left
		s.lower.drain(ctx, farewell)
	case <-ctx.Done():
	case <-s.done:
	}
	s.end(errClosed)
	<-left
}

// farewell is how long a session waits for the broker to close the connection after DISCONNECT, as it should (section 3.14.4):
// two round trips of a slow mobile link. To what comes after this side has closed, TCP answers with resets, each a packet.
const farewell = 3 * time.Second
