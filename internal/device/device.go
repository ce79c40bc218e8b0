package device

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/downlink"
	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/usage"
	"github.com/fieldpost/fieldpost/agent/web"
	"github.com/fieldpost/fieldpost/internal/uplink"
	"github.com/fieldpost/fieldpost/queue"
)

// Device is an agent with everything that it is made of.
type Device struct {
	agent   *agent.Agent
	queue   *queue.Queue
	uplink  *uplink.Uplink
	usage   *usage.Ledger
	memory  memory
	closers []func() error // in the order of making
	log     zerolog.Logger

	commands *downlink.Downlink            // nil: none are taken from the broker
	local    *source.MQTT                  // nil: there is no local MQTT listener
	http     *source.HTTP                  // nil: there is no local HTTP listener
	page     *web.Server                   // nil: there is no status page
	config   atomic.Pointer[config.Config] // in force
	stopBy   atomic.Pointer[time.Time]     // nil: nobody has asked it to stop
	options  Options
}

// Options says how a device is to be put together, beyond its configuration. The zero value is a device as it is in the field.
type Options struct {
	Version    string                              // shown in the status
	OpenPort   func() (io.ReadWriteCloser, error)  // the way to the module; nil follows the configuration
	Restart    func(context.Context) error         // restarts the module; nil follows the configuration
	Bare       bool                                // no listeners and no control socket
	ChartReach time.Duration                       // how far back the status page's charts go; 0: a day
	Trace      func(out bool, p []byte)            // gets what goes over the serial line; nil: nothing
	Logged     func() []string                     // the last lines of the log; nil: they are not kept
	Level      Level                               // of the log; nil: it is fixed
	Verify     func(context.Context, string) error // checks a queue file that may be damaged; nil: within this process
	Machine    Machine                             // what is else asked of the kernel
	Log        zerolog.Logger
}

// Level is a log's level that can be changed while the agent runs. A name that is no level's is an error.
type Level interface {
	// Configure sets it for good.
	Configure(name string) error
	// SetFor sets it for a while, after which the configured one counts again; 0 means until the end of the process.
	SetFor(name string, span time.Duration) error
}

// Machine is the boot and the clock of a machine; its zero value is this one.
type Machine struct {
	Boot  [16]byte
	Since time.Duration // the boot
	Time  func(now time.Time) (time.Time, queue.Trust)
}

// New makes a device from its configuration. Of its errors a *[config.Error] and a *[config.Unusable] need a person, and a
// *[queue.LockedError] says that another process has the queue.
func New(cfg *config.Config, o Options) (*Device, error) {
	d := &Device{options: o, log: o.Log}
	d.config.Store(cfg)
	if err := d.build(cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Agent is the agent itself.
func (d *Device) Agent() *agent.Agent { return d.agent }

// Queue is the queue, to be looked at.
func (d *Device) Queue() *queue.Queue { return d.queue }

// Close closes everything in the reverse order of making; the agent must not run any more.
func (d *Device) Close() error {
	var errs []error
	for _, c := range slices.Backward(d.closers) {
		errs = append(errs, c())
	}
	d.closers = nil
	return errors.Join(errs...)
}

func (d *Device) build(cfg *config.Config) error {
	q, err := openQueue(cfg, d.options)
	if err != nil {
		return err
	}
	d.queue = q
	d.closers = append(d.closers, q.Close)
	d.memory.log = d.log
	d.closers = append(d.closers, d.memory.close)
	if d.usage, err = usage.Open(UsageFile(cfg), Budget(cfg)); err != nil {
		d.log.Error().Err(err).Msg("the bytes on the air are counted from 0")
	}
	d.memory.add(d.usage.Save)
	d.memory.urgent, d.memory.account = d.usage.Due(), d.usage.Save
	if d.commands, err = d.newDownlink(cfg); err != nil {
		return err
	}
	d.uplink, err = uplink.New(cfg, uplink.Options{Queue: q, Commands: d.commands, Published: d.usage.Published,
		OpenPort: d.options.OpenPort, Restart: d.options.Restart, Trace: d.options.Trace, Log: d.log})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, d.closeUplink)
	d.memory.add(d.uplink.Save)
	form, err := encoding(cfg)
	if err != nil {
		return err
	}
	agentConfig := agent.Config{
		Device: cfg.Device, Version: d.options.Version, LinkKind: cfg.Link,
		Queue: q, PoisonAfter: cfg.Broker.PoisonAfter, Check: Check(cfg), Log: d.log, Encoding: form,
		MachineTime: d.options.Machine.Time,
		Account:     &agent.Account{Ledger: d.usage, Counters: d.uplink.Counters}, Sources: []agent.Source{d.memory.source()},
		Presence: agent.Presence{Topic: cfg.PresenceTopic(), Boot: bootName()},
	}
	d.uplink.AddTo(&agentConfig)
	if c := d.commands; c != nil {
		agentConfig.Sources = append(agentConfig.Sources, agent.Source{Name: "downlink", Run: c.Run, Status: c.Status})
	}
	if !d.options.Bare {
		if err := d.serve(cfg, &agentConfig); err != nil {
			return err
		}
	}
	d.countStarts(cfg.DataDir, &agentConfig)
	d.agent, err = agent.New(agentConfig)
	return err
}

// UsageFile is where the account of the bytes on the air is kept.
func UsageFile(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "usage") }

// Budget translates a configuration.
func Budget(cfg *config.Config) usage.Budget {
	return usage.Budget{MonthlyBytes: int64(cfg.Budget.MonthlyBytes), Reserve: int64(cfg.Budget.Reserve),
		MonthStarts: cfg.Budget.MonthStarts, Zone: time.Local}
}

// Check refuses what no broker would take.
func Check(cfg *config.Config) func(queue.Message) error {
	return source.Limits{MaxPayload: int(cfg.Limits.MaxPayload)}.Check
}
