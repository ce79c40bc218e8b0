package source

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/agent/source/sysfs"
)

// SysfsConfig describes sensors that the kernel shows as files.
type SysfsConfig struct {
	ReadingConfig
	Sensors  sysfs.Reader
	Interval time.Duration
}

// Sysfs reads such sensors at an interval.
type Sysfs struct {
	*feed
	cfg    SysfsConfig
	byChip bool // the topic tells the chips apart
}

// NewSysfs makes a source.
func NewSysfs(cfg SysfsConfig) (*Sysfs, error) {
	if cfg.Interval <= 0 {
		return nil, errors.New("source: sysfs needs an Interval")
	}
	address := cfg.Sensors.Kind
	if cfg.Sensors.Path != "" {
		address = cfg.Sensors.Path
	}
	f, err := newFeed("sysfs", address, cfg.ReadingConfig)
	return &Sysfs{feed: f, cfg: cfg, byChip: slices.Contains(cfg.Rule.Topic.Names(), "chip")}, err
}

// Run reads until ctx ends and returns nil then.
func (s *Sysfs) Run(ctx context.Context) error {
	return s.guard(ctx, func(ctx context.Context) error { return s.poll(ctx, s.cfg.Interval, s.read) })
}

// read returns a set for each chip or, if the topic doesn't tell them apart, one
// whose fields are called CHIP.SENSOR.
func (s *Sysfs) read(context.Context) ([]reading.Set, error) {
	sensors, err := s.cfg.Sensors.Read()
	var sets []reading.Set
	for _, sensor := range sensors {
		field := reading.Field{Name: sensor.Name, Value: sensor.Value}
		chip := ""
		switch {
		case s.byChip:
			chip = sensor.Chip
		case s.cfg.Sensors.Kind == "w1": // a chip with one sensor
			field.Name = sensor.Chip
		case sensor.Chip != "":
			field.Name = sensor.Chip + "." + sensor.Name
		}
		if n := len(sets); n == 0 || sets[n-1].Labels["chip"] != chip {
			sets = append(sets, reading.Set{Labels: map[string]string{"chip": chip}})
		}
		set := &sets[len(sets)-1]
		set.Fields = append(set.Fields, field)
	}
	return sets, err
}
