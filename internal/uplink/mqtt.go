package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// mqttLink puts MQTT on top of a way to open connections; modemLink and systemLink embed it.
type mqttLink struct {
	brokers  *brokers
	config   mqttconn.Config
	queue    *queue.Queue
	release  string // what ends a reading's stay, in the words of the configuration
	leastQoS byte   // 1 where nothing but the broker's answer can prove a delivery
	history  string // the levels before the topics of history; "": none
	book     sessionBook
	pulse    *pulse
	flown    *flown
	wishes   *wishes

	last       *mqttconn.Session // of the last connection; of the supervisor's goroutine
	lastBroker string
}

// dialFunc opens a connection to host:port.
type dialFunc func(ctx context.Context, address string) (mqttconn.Conn, error)

// steps is the part of the chain above the network.
func (l *mqttLink) steps() []agent.Step {
	if slices.ContainsFunc(l.brokers.list, func(e Endpoint) bool { return e.TLS }) {
		return []agent.Step{agent.StepTCP, agent.StepTLS, agent.StepMQTT}
	}
	return []agent.Step{agent.StepTCP, agent.StepMQTT}
}

func (l *mqttLink) Broker() string { return l.brokers.name() }

func (l *mqttLink) Release() string { return l.release }

// connect opens a connection with dial and an MQTT session over it. network is the name of what is between here and the
// broker, as far as it matters for how long a connection may be silent; "": the broker's.
func (l *mqttLink) connect(ctx context.Context, network string, resume []agent.Resume, report agent.Report, dial dialFunc) (agent.Session, error) {
	var err error
	var others bool
	for _, i := range l.brokers.turns() {
		var session *mqttconn.Session
		if session, err = l.connectTo(ctx, l.brokers.turnTo(i), network, resume, report, dial); err == nil {
			return mqttSession{session, l, l.brokers.worked(i), l.pulse, l.flown}, nil
		}
		if ctx.Err() != nil {
			break
		}
		others = l.brokers.failed(i, err)
	}
	le := linkError(err)
	le.Others = others
	return nil, le
}

func (l *mqttLink) connectTo(ctx context.Context, broker Endpoint, network string, resume []agent.Resume, report agent.Report,
	dial dialFunc) (*mqttconn.Session, error) {
	cfg := l.config
	cfg.Username, cfg.Password = l.brokers.credentials()
	cfg.TLS = nil
	if broker.TLS {
		cfg.TLS = l.config.TLS.Clone()
		cfg.TLS.ServerName = broker.Host
	}
	cfg.Journal = journal{l.queue}
	l.pulse.apply(&cfg, cmp.Or(network, broker.Host))
	cfg.Resume = nil
	anew := false
	for _, r := range resume {
		anew = anew || r.Anew
		l.flown.note(r.Flight.Seq)
		cfg.Resume = append(cfg.Resume, mqttconn.Resume{Flight: mqttconn.Flight(r.Flight), Message: l.toMQTT(r.Message), Held: r.Held})
	}
	open := func(ctx context.Context) (mqttconn.Conn, error) {
		report(agent.StepTCP, agent.StepWaiting, "connecting to "+broker.Address)
		conn, err := dial(ctx, broker.Address)
		if err != nil {
			return nil, err
		}
		if cfg.TLS != nil {
			report(agent.StepTLS, agent.StepWaiting, "shaking hands with "+broker.Address)
		} else {
			report(agent.StepMQTT, agent.StepWaiting, "waiting for the broker's answer")
		}
		return conn, nil
	}
	session, err := l.attempt(ctx, open, cfg, broker.Address, anew)
	l.pulse.attempted(err)
	return session, err
}

// attempt opens a session with one broker, with all that it is to have beside delivery. With anew all that is in flight is to be
// published once more.
func (l *mqttLink) attempt(ctx context.Context, open mqttconn.DialFunc, cfg mqttconn.Config, broker string, anew bool) (*mqttconn.Session, error) {
	broker = l.book.broker(broker)
	if l.last != nil && l.lastBroker == broker && mqttconn.CauseOf(l.last.Err()) == mqttconn.CauseOversize {
		// The broker would send what was too large again and again.
		if err := l.book.spoil(ctx, cfg.ClientID, broker); err != nil {
			return nil, err
		}
	}
	if anew {
		if err := l.book.renew(ctx, cfg.ClientID, broker); err != nil {
			return nil, err
		}
	}
	session, err := l.wishes.connect(cfg, broker, func(cfg mqttconn.Config) (*mqttconn.Session, error) {
		return l.book.connect(ctx, open, cfg, broker)
	})
	if err == nil {
		l.last, l.lastBroker = session, broker
	}
	return session, err
}

// mqttSession shows a mqttconn.Session as the agent's.
type mqttSession struct {
	*mqttconn.Session
	link  *mqttLink
	until time.Time // when a better broker may be back; zero: never
	pulse *pulse
	flown *flown
}

func (s mqttSession) Close(ctx context.Context) error {
	s.pulse.ended(s.Session)
	defer s.flown.ended()
	return s.Session.Close(ctx)
}

func (s mqttSession) Until() time.Time { return s.until }

func (s mqttSession) Publish(ctx context.Context, p agent.Parcel) (agent.Receipt, error) {
	m := s.link.toMQTT(p.Message)
	m.More = p.More
	m.Again = s.flown.before(m.Seq)
	r, err := s.Session.Publish(ctx, m)
	if errors.Is(err, mqttconn.ErrInvalid) {
		return nil, fmt.Errorf("%w: %w", agent.ErrUndeliverable, err)
	}
	if err != nil {
		return nil, linkError(err)
	}
	s.flown.departed(r)
	return r, nil
}

func (s mqttSession) Resumed() []agent.Receipt {
	var list []agent.Receipt
	for _, r := range s.Session.Resumed() {
		list = append(list, r)
	}
	return list
}

func (s mqttSession) Err() error {
	err := s.Session.Err()
	if err == nil {
		return nil
	}
	le := *linkError(err)
	le.HungUp = mqttconn.CauseOf(err) == mqttconn.CauseHungUp
	var own *mqttconn.Error
	if errors.As(err, &own) {
		le.Unanswered = own.Seq
	}
	switch le.Cause {
	case agent.CauseTCP, agent.CauseMQTT, agent.CauseContext, agent.CauseUnknown: // what broke a standing session is less certain than that it broke
		le.Cause = agent.CauseLost
	}
	return &le
}

func (s mqttSession) Bytes() (up, down uint64) {
	st := s.Session.Stats()
	return st.BytesUp, st.BytesDown
}

// journal keeps what is in flight in the queue's file.
type journal struct{ queue *queue.Queue }

func (j journal) Save(ctx context.Context, f mqttconn.Flight, durable bool) error {
	err := j.queue.SaveFlight(ctx, queue.Flight(f), durable)
	if errors.Is(err, queue.ErrNotFound) { // the message was dropped meanwhile: there is nothing to resume
		return nil
	}
	return err
}

func (j journal) Clear(ctx context.Context) error { return j.queue.ClearFlights(ctx) }

// toMQTT makes a message ready to be sent: what is history gets a topic of its own, so that each topic stays in order and
// the last value of a topic is the newest.
func (l *mqttLink) toMQTT(m queue.Message) mqttconn.Message {
	topic, history := m.Topic, l.history
	if m.History && history != "" && len(history)+1+len(topic) <= 65535 { // MQTT 3.1.1, 1.5.3
		topic = history + "/" + topic
	}
	return mqttconn.Message{Seq: m.Seq, Topic: topic, QoS: max(m.QoS, l.leastQoS), Retain: m.Retain, Payload: m.Payload}
}

// linkError gives an error of gsmnet or mqttconn the one cause that the status shows.
func linkError(err error) *agent.LinkError {
	var le *agent.LinkError
	if errors.As(err, &le) {
		return le
	}
	return &agent.LinkError{Cause: causeOf(err), Err: err, Why: Why(err)}
}

// Why is the part of an error that a person needs: not on which way it came up.
func Why(err error) string {
	var modem *gsmnet.Error
	if errors.As(err, &modem) {
		return modem.Err.Error()
	}
	var mqtt *mqttconn.Error
	if !errors.As(err, &mqtt) {
		return unprefixed(err)
	}
	advice, cause := mqtt.Advice(), unprefixed(mqtt.Err)
	if advice == "" || strings.Contains(cause, ", check ") { // the way below has its own
		return cause
	}
	return advice + " (" + cause + ")" // a narrow screen cuts the end off, not what there is to do
}

// unprefixed is the text of an error without the name of the package that made it.
func unprefixed(err error) string {
	text := err.Error()
	for _, prefix := range []string{"mqttconn: ", "sysnet: ", "gsmnet: ", "agent: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
