package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/grid-x/modbus"

	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/agent/source/registers"
)

// ModbusConfig describes a device whose registers are read.
type ModbusConfig struct {
	ReadingConfig
	Address   string // of a device on the network, HOST:PORT
	Bus       *Bus   // or the line that the device is on
	Unit      byte   // the device's address
	Timeout   time.Duration
	Interval  time.Duration
	Registers []registers.Register
}

// Modbus reads the registers of one device at an interval. Registers that can't
// be read don't keep the others back.
type Modbus struct {
	*feed
	cfg    ModbusConfig
	client modbus.Client
	plan   []registers.Request
	hangUp func() // after a failure: what comes late belongs to no request any more
}

// NewModbus makes a source; Run connects.
func NewModbus(cfg ModbusConfig) (*Modbus, error) {
	if (cfg.Address == "") == (cfg.Bus == nil) || cfg.Interval <= 0 || cfg.Timeout <= 0 || len(cfg.Registers) == 0 {
		return nil, errors.New("source: modbus needs either an Address or a Bus, and an Interval, a Timeout and Registers")
	}
	for _, r := range cfg.Registers {
		if err := r.Check(); err != nil {
			return nil, err
		}
	}
	address := cfg.Address
	if cfg.Bus != nil {
		address = cfg.Bus.path
	}
	f, err := newFeed("modbus", fmt.Sprintf("%s unit %d", address, cfg.Unit), cfg.ReadingConfig)
	if err != nil {
		return nil, err
	}
	s := &Modbus{feed: f, cfg: cfg, plan: registers.Plan(cfg.Registers)}
	if cfg.Bus != nil {
		framing := modbus.NewRTUClientHandler(address)
		framing.SetSlave(cfg.Unit)
		s.client = modbus.NewClient2(framing, busRequest{cfg.Bus, cfg.Timeout})
		s.hangUp = func() {} // the bus sees to it
	} else {
		h := modbus.NewTCPClientHandler(address, modbus.WithDialer((&net.Dialer{Timeout: cfg.Timeout}).DialContext))
		h.Timeout = cfg.Timeout
		h.SetSlave(cfg.Unit)
		s.client = modbus.NewClient(h)
		s.hangUp = func() { _ = h.Close() }
	}
	return s, nil
}

// Run reads until ctx ends and returns nil then.
func (s *Modbus) Run(ctx context.Context) error {
	return s.guard(ctx, func(ctx context.Context) error {
		defer s.stop()
		return s.poll(ctx, s.cfg.Interval, s.read)
	})
}

// stop leaves the connection or the port to others. A bus that is in use stays
// open until its last user stops.
func (s *Modbus) stop() {
	s.hangUp()
	if s.cfg.Bus != nil && s.cfg.Bus.acquire(context.Background()) == nil {
		s.cfg.Bus.close()
		s.cfg.Bus.release()
	}
}

// read returns the values of all registers that could be read.
func (s *Modbus) read(ctx context.Context) ([]reading.Set, error) {
	if s.cfg.Bus != nil {
		if err := s.cfg.Bus.acquire(ctx); err != nil {
			return nil, err
		}
		defer s.cfg.Bus.release()
	}
	fields := make([]reading.Field, len(s.cfg.Registers)) // in the order of the configuration
	var failed error
	for _, q := range s.plan {
		answer, err := s.ask(ctx, q)
		if err != nil {
			failed = fmt.Errorf("source: %s registers from %d: %w", q.Table, q.Address, err)
			if !isException(err) { // the device is silent; the other requests would only cost time
				s.hangUp()
				break
			}
			continue
		}
		for i, r := range q.Wanted {
			raw := q.Raw(i, answer)
			if raw == nil {
				failed = fmt.Errorf("source: the answer has no %s", r.Field)
				continue
			}
			v, err := r.Value(raw)
			if err != nil {
				failed = fmt.Errorf("source: %s: %w", r.Field, err)
				continue
			}
			fields[q.Position(i)] = reading.Field{Name: r.Field, Value: v}
		}
	}
	set := reading.Set{}
	for _, f := range fields {
		if f.Name != "" {
			set.Fields = append(set.Fields, f)
		}
	}
	if len(set.Fields) == 0 {
		return nil, failed
	}
	return []reading.Set{set}, failed
}

func (s *Modbus) ask(ctx context.Context, q registers.Request) ([]byte, error) {
	switch q.Table {
	case "input":
		return s.client.ReadInputRegisters(ctx, q.Address, q.Count)
	case "coil":
		return s.client.ReadCoils(ctx, q.Address, q.Count)
	case "discrete":
		return s.client.ReadDiscreteInputs(ctx, q.Address, q.Count)
	}
	return s.client.ReadHoldingRegisters(ctx, q.Address, q.Count)
}

// isException reports whether the device has answered, with a refusal.
func isException(err error) bool {
	var exception *modbus.Error
	return errors.As(err, &exception)
}
