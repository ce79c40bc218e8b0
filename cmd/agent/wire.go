package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/downlink"
	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/sysnet"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/agent/web"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// device is an agent with everything that it is made of.
type device struct {
	agent   *agent.Agent
	queue   *queue.Queue
	module  control.Modem // nil on the machine's own network
	pulse   *pulse
	brokers *brokers
	usage   *usage.Ledger
	air     mqttconn.Air
	memory  memory
	logged  func() []string // the last lines of the log; nil: they are not kept
	closers []func() error  // in the order of making

	own      *ownCertificate               // nil: none is shown to the broker
	commands *downlink.Downlink            // nil: none are taken from the broker
	local    *source.MQTT                  // nil: there is no local MQTT listener
	http     *source.HTTP                  // nil: there is no local HTTP listener
	page     *web.Server                   // nil: there is no status page
	level    *logLevel                     // nil: the log's level is fixed
	config   atomic.Pointer[config.Config] // in force
	stopBy   atomic.Pointer[time.Time]     // nil: nobody has asked it to stop
}

// wiring says how an agent is to be put together, beyond its configuration.
type wiring struct {
	openPort   func() (io.ReadWriteCloser, error) // the way to the module; nil follows the configuration
	restart    func(context.Context) error        // restarts the module; nil follows the configuration
	bare       bool                               // no listeners and no control socket
	chartReach time.Duration                      // how far back the status page's charts go; 0: a day
	trace      string                             // file for the serial dialogue; "": none
	logged     func() []string                    // the last lines of the log; nil: they are not kept
	level      *logLevel                          // of log; nil: it is fixed
	machine    machine                            // what is else asked of the kernel
}

// machine is the boot and the clock of a machine; its zero value is this one.
type machine struct {
	boot  [16]byte
	since time.Duration // the boot
	time  func(now time.Time) (time.Time, queue.Trust)
}

// wire makes an agent from its configuration.
func (w wiring) wire(cfg *config.Config, log zerolog.Logger) (*device, error) {
	d := &device{logged: w.logged, level: w.level}
	d.config.Store(cfg)
	if err := d.build(w, cfg, log); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close closes everything in the reverse order of making; the agent must not run any more.
func (d *device) Close() error {
	var errs []error
	for _, c := range slices.Backward(d.closers) {
		errs = append(errs, c())
	}
	d.closers = nil
	return errors.Join(errs...)
}

func (d *device) build(w wiring, cfg *config.Config, log zerolog.Logger) error {
	q, err := openQueueSaying(cfg, w.machine, log)
	if err != nil {
		return err
	}
	d.queue = q
	d.closers = append(d.closers, q.Close)
	d.memory.log = log
	d.closers = append(d.closers, d.memory.close)
	if d.pulse, err = newPulse(cfg, filepath.Join(cfg.DataDir, "keepalive")); err != nil {
		log.Warn().Err(err).Msg("how long the network bears silence is learned anew")
	}
	if d.usage, err = usage.Open(usageFile(cfg), budgetOf(cfg)); err != nil {
		log.Error().Err(err).Msg("the bytes on the air are counted from 0")
	}
	d.memory.add(d.pulse.save)
	d.memory.add(d.usage.Save)
	d.memory.urgent, d.memory.account = d.usage.Due(), d.usage.Save
	if d.commands, err = d.newDownlink(cfg, log); err != nil {
		return err
	}
	link, err := d.link(w, cfg, log)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, func() error { return d.closeLink(link) })
	form, err := encoding(cfg)
	if err != nil {
		return err
	}
	agentConfig := agent.Config{
		Device: cfg.Device, Version: version, LinkKind: cfg.Link,
		Queue: q, Link: link, Retry: retry(d.brokers), PoisonAfter: cfg.Broker.PoisonAfter, Check: check(cfg), Log: log, Encoding: form,
		MachineTime: w.machine.time,
		Account:     newAccount(&d.air, d.usage), Keepalive: d.pulse.status, Sources: []agent.Source{d.memory.source()},
		Presence: agent.Presence{Topic: cfg.PresenceTopic(), Boot: bootName()},
	}
	if c := d.commands; c != nil {
		agentConfig.Sources = append(agentConfig.Sources, agent.Source{Name: "downlink", Run: c.Run, Status: c.Status})
	}
	if own := d.own; own != nil {
		agentConfig.Certificate = own.warning
		agentConfig.Sources = append(agentConfig.Sources, own.source(log))
	}
	if l, ok := link.(*modemLink); ok {
		agentConfig.NetworkTime = l.NetworkTime
	}
	if !w.bare {
		if err := d.serve(w, cfg, log, &agentConfig); err != nil {
			return err
		}
	}
	d.countStarts(cfg.DataDir, log, &agentConfig)
	d.agent, err = agent.New(agentConfig)
	return err
}

// link makes the way to the broker.
func (d *device) link(w wiring, cfg *config.Config, log zerolog.Logger) (agent.Link, error) {
	mqtt, err := mqttOver(cfg, d.queue)
	if err != nil {
		return nil, err
	}
	d.brokers = mqtt.brokers
	mqtt.pulse, mqtt.config.Air = d.pulse, &d.air
	mqtt.wishes, mqtt.book.log = d.wishes(cfg, log), log
	clock := d.rememberTLS(cfg, &mqtt, log)
	if own := mqtt.config.TLS.Certificates; len(own) > 0 {
		d.own = &ownCertificate{file: cfg.Broker.ClientCertFile, until: own[0].Leaf.NotAfter, now: clock.now}
	}
	trace, err := d.startTrace(w.trace, cfg, log)
	if err != nil {
		return nil, err
	}
	if cfg.Link == config.LinkSystem {
		if err := sysnet.Counts(); err != nil {
			log.Warn().Err(err).Msg("this system doesn't count acknowledged bytes: the broker's answer alone releases readings, and QoS 0 becomes QoS 1")
			mqtt.leastQoS, mqtt.release = 1, mqttconn.ReleaseBroker.String()
		}
		return &systemLink{mqttLink: mqtt}, nil
	}
	open := w.openPort
	if open == nil {
		var release func() error
		open, release = modemPort(cfg)
		d.closers = append(d.closers, release)
	}
	l := &modemLink{mqttLink: mqtt, open: open, modemConfig: modemConfig(cfg), restart: restarter(cfg.Modem.Restart)}
	if l.addresses, err = openAddresses(filepath.Join(cfg.DataDir, "addresses")); err != nil {
		log.Warn().Err(err).Msg("the brokers' addresses are learned anew")
	}
	d.memory.add(l.addresses.save)
	if w.restart != nil {
		l.restart = func(io.ReadWriteCloser) func(context.Context) error { return w.restart }
	}
	if trace != nil {
		l.modemConfig.Trace = trace.Trace
	}
	clock.network = l.NetworkTime
	d.module = l.module(cfg.Modem.Port)
	return l, nil
}

// rememberTLS gives TLS what was learned before: sessions to resume, and the time.
func (d *device) rememberTLS(cfg *config.Config, mqtt *mqttLink, log zerolog.Logger) *bestTime {
	sessions, err := openTickets(cfg)
	if err != nil {
		log.Warn().Err(err).Msg("TLS begins with a full handshake")
	}
	clock, err := openBestTime(cfg)
	if err != nil {
		log.Warn().Err(err).Msg("when the agent last ran is not known")
	}
	mqtt.config.TLS.ClientSessionCache, mqtt.config.TLS.Time = sessions, clock.now
	d.memory.add(sessions.save)
	d.memory.add(clock.save)
	return clock
}

// mqttOver describes the MQTT sessions of a configuration.
func mqttOver(cfg *config.Config, q *queue.Queue) (mqttLink, error) {
	l := mqttLink{brokers: newBrokers(cfg.Broker), queue: q, history: cfg.Queue.HistoryTopic,
		pulse: &pulse{fixed: time.Duration(cfg.Broker.Keepalive)}, flown: newFlown(),
		config: mqttconn.Config{
			ClientID: cfg.MQTTClientID(), Username: cfg.Broker.Username, Password: cfg.Broker.Password.Reveal(),
		}}
	if q != nil { // else it is the doctor's, which uses no session of the agent
		l.book = sessionBook{path: filepath.Join(cfg.DataDir, "sessions"), queue: q}
		if cfg.Broker.Cluster {
			l.book.cluster = l.brokers.addresses()
		} else {
			page, err := l.book.open(l.config.ClientID)
			if err != nil {
				return l, err
			}
			l.brokers.begin(page.Flights)
		}
	}
	if cfg.Broker.Cluster {
		l.brokers.spread(l.config.ClientID)
	}
	var err error
	if l.config.Release, err = mqttconn.ParseRelease(cfg.Broker.Release); err != nil {
		return l, &exitError{exitConfig, fmt.Errorf("broker.release: %w", err)}
	}
	l.wishes = &wishes{clientID: l.config.ClientID}
	l.release = cfg.Broker.Release
	l.config.TLS, err = brokerTLS(cfg.Broker)
	return l, err
}

// brokerName is the first broker's URL without the password that it may contain.
func brokerName(cfg *config.Config) string {
	u, err := url.Parse(cfg.Broker.URL[0])
	if err != nil {
		return "" // Validate has refused it
	}
	return u.Redacted()
}

// control is the socket by which commands reach the agent.
func (d *device) control(cfg *config.Config) (*control.Server, error) {
	return control.New(control.Config{
		Path: cfg.ControlSocket(), QoS: byte(cfg.Broker.QoS), MaxPayload: int64(cfg.Limits.MaxPayload),
		Status:     func() agent.Status { return d.agent.Status() },
		Usage:      func() usage.Report { return d.usage.Report() },
		QueueStats: func() agent.QueueStatus { return agent.QueueStatusOf(d.queue) },
		Put:        func(ctx context.Context, m queue.Message) (uint64, error) { return d.agent.Accept(ctx, m) },
		Queue:      d.queue,
		Reconnect:  func() { d.agent.Reconnect() },
		Modem:      d.module,
		Logged:     d.logged,
	})
}

// statusPage makes the status page.
func (d *device) statusPage(w wiring, cfg *config.Config, log zerolog.Logger) (*web.Server, error) {
	return web.New(web.Config{
		Listen: cfg.Web.Listen, Token: cfg.Web.Token.Reveal(), Hosts: cfg.Web.Hosts, Log: log,
		Status: func() agent.Status { return d.agent.Status() },
		Reach:  w.chartReach, PointEvery: w.chartReach / chartPoints, Logged: d.logged, Actions: d.pageActions(),
	})
}

// chartPoints is how many points a shorter chart than a day's is made of.
const chartPoints = 240

// pageActions are what the status page can do.
func (d *device) pageActions() []web.Action {
	list := []web.Action{{
		Name: "reconnect", Label: "Reconnect now", Done: "The agent connects anew.",
		Run: func(context.Context) error { d.agent.Reconnect(); return nil },
	}}
	if d.module != nil {
		list = append(list, web.Action{
			Name: "restart-module", Label: "Restart the module", Done: "The module was restarted.",
			Ask: "Restart the module? The connection ends and comes back, usually within a minute or two.",
			Run: func(ctx context.Context) error { return d.module.Restart(ctx, false, false) },
		})
	}
	return list
}

// check refuses what no broker would take.
func check(cfg *config.Config) func(queue.Message) error {
	return source.Limits{MaxPayload: int(cfg.Limits.MaxPayload)}.Check
}

// serve adds the sources, the status page and the control socket.
func (d *device) serve(w wiring, cfg *config.Config, log zerolog.Logger, to *agent.Config) error {
	sink := inlet{d}
	limits := source.Limits{MaxPayload: int(cfg.Limits.MaxPayload)}
	rate := source.Rate{Messages: cfg.Limits.ClientMessages, Bytes: int(cfg.Limits.ClientBytes)}
	if listen := cfg.Sources.MQTT.Listen; listen != "" {
		users, err := localUsers(cfg.Sources.MQTT.UsersFile)
		if err != nil {
			return err
		}
		s, err := source.NewMQTT(source.MQTTConfig{Address: listen, Sink: sink, Limits: limits, Rate: rate, Users: users,
			MaxClients: cfg.Sources.MQTT.MaxClients, QoS: byte(cfg.Broker.QoS), Forward: forwardPrefix(cfg), Log: log})
		if err != nil {
			return err
		}
		d.local = s
		to.Sources = append(to.Sources, agent.Source{Name: s.Name(), Run: s.Run, Status: s.Status})
	}
	if listen := cfg.Sources.HTTP.Listen; listen != "" {
		influx, err := ruleOf(cfg.Device, cfg.Sources.HTTP.InfluxTopic, cfg.Sources.HTTP.InfluxPayload)
		if err != nil {
			return err
		}
		s, err := source.NewHTTP(source.HTTPConfig{Address: listen, Sink: sink, Limits: limits, Rate: rate, Influx: influx,
			Token: cfg.Sources.HTTP.Token.Reveal(), Hosts: cfg.Sources.HTTP.Hosts, QoS: byte(cfg.Broker.QoS), Log: log})
		if err != nil {
			return err
		}
		d.http = s
		to.Sources = append(to.Sources, agent.Source{Name: s.Name(), Run: s.Run, Status: s.Status})
	}
	readers, err := d.readers(cfg, limits, log)
	if err != nil {
		return err
	}
	to.Sources = append(to.Sources, readers...)
	if cfg.Web.Listen != "" {
		page, err := d.statusPage(w, cfg, log)
		if err != nil {
			return err
		}
		d.page = page
		to.Sources = append(to.Sources, agent.Source{Name: "status page", Run: page.Run})
	}
	socket, err := d.control(cfg)
	if err != nil {
		return err
	}
	to.Sources = append(to.Sources, agent.Source{Name: "control socket", Run: socket.Run})
	return nil
}

// inlet lets sources reach the agent, which is made after them.
type inlet struct{ device *device }

func (i inlet) Accept(ctx context.Context, msgs ...queue.Message) (uint64, error) {
	return i.device.agent.Take(ctx, msgs...)
}

func (i inlet) AcceptAt(ctx context.Context, c queue.Cursor, msgs ...queue.Message) (uint64, error) {
	return i.device.agent.TakeAt(ctx, c, msgs...)
}

func (i inlet) Cursor(name string) ([]byte, error) { return i.device.agent.Cursor(name) }
