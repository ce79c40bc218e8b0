package uplink

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/downlink"
	"github.com/fieldpost/fieldpost/agent/sysnet"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// Options is what an uplink needs beside the configuration.
type Options struct {
	Queue     *queue.Queue                       // where what is in flight is noted
	Commands  *downlink.Downlink                 // nil: none are taken from the broker
	Published func(topic string, bytes int)      // told of each PUBLISH that leaves; nil: nobody is
	OpenPort  func() (io.ReadWriteCloser, error) // the way to the module; nil follows the configuration
	Restart   func(context.Context) error        // restarts the module; nil follows the configuration
	Trace     func(out bool, p []byte)           // gets what goes over the serial line; nil: nothing
	Log       zerolog.Logger
}

// Uplink is the way to the broker.
type Uplink struct {
	agent.Link
	mqtt      *mqttLink
	tickets   *tickets
	clock     *bestTime
	addresses *addresses      // nil on the machine's own network
	modem     *modemLink      // nil on the machine's own network
	own       *ownCertificate // nil: none is shown to the broker
	release   func() error    // frees what OpenPort came from
	log       zerolog.Logger
}

// New makes an uplink; it opens nothing but small files in the data folder. A *[config.Unusable] says what of the configuration is wrong.
func New(cfg *config.Config, o Options) (*Uplink, error) {
	mqtt, err := mqttOver(cfg, o.Queue)
	if err != nil {
		return nil, err
	}
	u := &Uplink{mqtt: &mqtt, release: func() error { return nil }, log: o.Log}
	if mqtt.pulse, err = newPulse(cfg, filepath.Join(cfg.DataDir, "keepalive")); err != nil {
		o.Log.Warn().Err(err).Msg("how long the network bears silence is learned anew")
	}
	mqtt.config.Air = &mqttconn.Air{Published: o.Published}
	mqtt.wishes, mqtt.book.log = newWishes(cfg, o.Commands, o.Log), o.Log
	u.rememberTLS(cfg)
	if own := mqtt.config.TLS.Certificates; len(own) > 0 {
		u.own = &ownCertificate{file: cfg.Broker.ClientCertFile, until: own[0].Leaf.NotAfter, now: u.clock.now}
	}
	if cfg.Link == config.LinkSystem {
		if err := sysnet.Counts(); err != nil {
			o.Log.Warn().Err(err).Msg("this system doesn't count acknowledged bytes: the broker's answer alone releases readings, and QoS 0 becomes QoS 1")
			mqtt.leastQoS, mqtt.release = 1, mqttconn.ReleaseBroker.String()
		}
		u.Link = &systemLink{mqttLink: u.mqtt}
		return u, nil
	}
	u.overModule(cfg, o)
	return u, nil
}

// rememberTLS gives TLS what was learned before: sessions to resume, and the time.
func (u *Uplink) rememberTLS(cfg *config.Config) {
	var err error
	if u.tickets, err = openTickets(cfg); err != nil {
		u.log.Warn().Err(err).Msg("TLS begins with a full handshake")
	}
	if u.clock, err = openBestTime(cfg); err != nil {
		u.log.Warn().Err(err).Msg("when the agent last ran is not known")
	}
	u.mqtt.config.TLS.ClientSessionCache, u.mqtt.config.TLS.Time = u.tickets, u.clock.now
}

// overModule leads the way over a module.
func (u *Uplink) overModule(cfg *config.Config, o Options) {
	l := &modemLink{mqttLink: u.mqtt, open: o.OpenPort, port: cfg.Modem.Port, modemConfig: modemConfig(cfg), restart: restarter(cfg.Modem.Restart)}
	if l.open == nil {
		l.open, u.release = modemPort(cfg)
	}
	if o.Restart != nil {
		l.restart = func(io.ReadWriteCloser) func(context.Context) error { return o.Restart }
	}
	l.modemConfig.Trace = o.Trace
	var err error
	if l.addresses, err = openAddresses(filepath.Join(cfg.DataDir, "addresses")); err != nil {
		u.log.Warn().Err(err).Msg("the brokers' addresses are learned anew")
	}
	u.clock.network = l.NetworkTime
	u.Link, u.modem, u.addresses = l, l, l.addresses
}

// AddTo makes the uplink the link of an agent that is about to be made.
func (u *Uplink) AddTo(c *agent.Config) {
	c.Link, c.Retry, c.Keepalive = u, retry(u.mqtt.brokers), u.mqtt.pulse.status
	if u.own != nil {
		c.Certificate = u.own.warning
		c.Sources = append(c.Sources, u.own.source(u.log))
	}
	if u.modem != nil {
		c.NetworkTime = u.modem.NetworkTime
	}
}

// Module is how commands reach the module, whatever state it is in; there is none on the machine's own network.
func (u *Uplink) Module() (m Module, ok bool) {
	if u.modem == nil {
		return m, false
	}
	return Module{u.modem.port, u.modem.current}, true
}

// Counters are the bytes on the air since the start.
func (u *Uplink) Counters() (up, down usage.Bytes) {
	c := u.mqtt.config.Air.Counts()
	return usage.Bytes{Payload: c.Payload.Up, Topic: c.Topic.Up, MQTT: c.MQTT.Up, TLS: c.TLS.Up, TCPIP: c.TCPIP.Up,
			Keepalive: c.Keepalive.Up, Connect: c.Connect.Up, Repeats: c.Repeats.Up},
		usage.Bytes{Payload: c.Payload.Down, Topic: c.Topic.Down, MQTT: c.MQTT.Down, TLS: c.TLS.Down, TCPIP: c.TCPIP.Down,
			Keepalive: c.Keepalive.Down, Connect: c.Connect.Down, Repeats: c.Repeats.Down}
}

// Admit puts other credentials in force, from the next connection on.
func (u *Uplink) Admit(username, password string) { u.mqtt.brokers.admit(username, password) }

// Save writes what was learned; what has not changed is not written.
func (u *Uplink) Save() error {
	saves := []func() error{u.mqtt.pulse.save, u.tickets.save, u.clock.save}
	if u.addresses != nil {
		saves = append(saves, u.addresses.save)
	}
	var errs []error
	for _, save := range saves {
		errs = append(errs, save())
	}
	return errors.Join(errs...)
}

// Close leaves the module as its vendor asks, within ctx.
func (u *Uplink) Close(ctx context.Context) error {
	return errors.Join(u.Link.Close(ctx), u.release())
}

// Endpoints are the brokers of a configuration.
func Endpoints(b config.Broker) []Endpoint {
	var list []Endpoint
	for _, e := range b.Endpoints() {
		list = append(list, Endpoint{Address: e.Address(), Host: e.Host, TLS: e.TLS})
	}
	return list
}

// SessionConfig is what every MQTT session of a configuration has in common. Its TLS lacks the broker's name, and is there also when
// none of the brokers wants it.
func SessionConfig(cfg *config.Config) (mqttconn.Config, error) {
	c := mqttconn.Config{ClientID: cfg.MQTTClientID(), Username: cfg.Broker.Username, Password: cfg.Broker.Password.Reveal()}
	var err error
	if c.Release, err = mqttconn.ParseRelease(cfg.Broker.Release); err != nil {
		return c, &config.Unusable{Key: "broker.release", Err: err}
	}
	c.TLS, err = brokerTLS(cfg.Broker)
	return c, err
}

// mqttOver describes the MQTT sessions of a configuration.
func mqttOver(cfg *config.Config, q *queue.Queue) (mqttLink, error) {
	l := mqttLink{brokers: newBrokers(cfg.Broker), queue: q, history: cfg.Queue.HistoryTopic, release: cfg.Broker.Release,
		pulse: &pulse{fixed: time.Duration(cfg.Broker.Keepalive)}, flown: newFlown(),
		book: sessionBook{path: filepath.Join(cfg.DataDir, "sessions"), queue: q}}
	var err error
	if l.config, err = SessionConfig(cfg); err != nil {
		return l, err
	}
	l.wishes = &wishes{clientID: l.config.ClientID}
	if cfg.Broker.Cluster {
		l.book.cluster = l.brokers.addresses()
		l.brokers.spread(l.config.ClientID)
		return l, nil
	}
	page, err := l.book.open(l.config.ClientID)
	if err != nil {
		return l, err
	}
	l.brokers.begin(page.Flights)
	return l, nil
}
