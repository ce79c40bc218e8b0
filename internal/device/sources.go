package device

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/source"
	readingrule "github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/agent/source/sysfs"
	"github.com/fieldpost/fieldpost/queue"
)

// A readerMaker makes the sources that read something by themselves.
type readerMaker struct {
	cfg    *config.Config
	sink   inlet
	limits source.Limits
	log    zerolog.Logger
	buses  map[string]*source.Bus // by port: devices on one line share it
	made   []agent.Source
	errs   []error
}

// readers makes those of a configuration.
func (d *Device) readers(cfg *config.Config, limits source.Limits) ([]agent.Source, error) {
	m := readerMaker{cfg: cfg, sink: inlet{d}, limits: limits, log: d.log, buses: make(map[string]*source.Bus)}
	for _, s := range cfg.Sources.Exec {
		m.add(source.NewExec(source.ExecConfig{ReadingConfig: m.common(s.Reading), Command: s.Command, Interval: time.Duration(s.Interval),
			Timeout: time.Duration(s.Timeout), MaxRate: s.MaxRate, Format: s.ReadingFormat()}))
	}
	for _, s := range cfg.Sources.Serial {
		common := m.common(s.Reading)
		common.Rule.Spacing = time.Duration(s.Interval)
		m.add(source.NewSerial(source.SerialConfig{ReadingConfig: common, Port: s.Port, Baud: s.Baud, Mode: s.Mode, Format: s.ReadingFormat()}))
	}
	for _, s := range cfg.Sources.Sysfs {
		m.add(source.NewSysfs(source.SysfsConfig{ReadingConfig: m.common(s.Reading), Interval: time.Duration(s.Interval),
			Sensors: sysfs.Reader{Kind: s.Kind, Path: s.Path, Match: s.Match, Scale: s.Scale}}))
	}
	for _, s := range cfg.Sources.Modbus {
		m.modbus(s)
	}
	for _, s := range cfg.Sources.Tail {
		m.add(source.NewTail(source.TailConfig{ReadingConfig: m.common(s.Reading), Store: m.sink, Path: s.Path,
			FromStart: s.From == config.TailStart, MaxRate: s.MaxRate, Format: s.ReadingFormat()}))
	}
	return m.made, errors.Join(m.errs...)
}

// add takes a source that was made.
func (m *readerMaker) add(s interface {
	Name() string
	Run(context.Context) error
	Status() agent.SourceStatus
}, err error) {
	if err != nil {
		m.errs = append(m.errs, err)
		return
	}
	m.made = append(m.made, agent.Source{Name: s.Name(), Run: s.Run, Status: s.Status})
}

// common is what all of them need.
func (m *readerMaker) common(r config.Reading) source.ReadingConfig {
	rule, err := ruleOf(m.cfg.Device, r.Topic, r.Payload)
	if err != nil {
		m.errs = append(m.errs, err)
	}
	lane, err := queue.ParseLane(r.Lane)
	if err != nil {
		m.errs = append(m.errs, err)
	}
	rule.Lane, rule.QoS = lane, byte(r.QoS)
	rule.Change, rule.Deadband, rule.MaxSilence = r.Change, r.Deadband, time.Duration(r.MaxSilence)
	return source.ReadingConfig{Name: r.Name, Sink: m.sink, Limits: m.limits, Rule: rule, Log: m.log}
}

// ruleOf says under which topic and in which form readings travel.
func ruleOf(device, topic, payload string) (readingrule.Rule, error) {
	t, err := readingrule.ParseTemplate(topic)
	rule := readingrule.Rule{Device: device, Topic: t}
	if payload == config.PayloadJSON {
		rule.Payload = readingrule.Stamped
	}
	return rule, err
}

func (m *readerMaker) modbus(s config.ModbusSource) {
	c := source.ModbusConfig{ReadingConfig: m.common(s.Reading), Unit: byte(s.Unit), Timeout: time.Duration(s.Timeout), Interval: time.Duration(s.Interval)}
	for _, r := range s.Registers {
		c.Registers = append(c.Registers, r.Register())
	}
	address, port, err := s.Target()
	if err == nil && port != "" {
		if m.buses[port] == nil {
			m.buses[port], err = source.NewBus(port, s.Baud, s.Mode)
		}
		c.Bus = m.buses[port]
	}
	if c.Address = address; err != nil {
		m.errs = append(m.errs, err)
		return
	}
	m.add(source.NewModbus(c))
}
