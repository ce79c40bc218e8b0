package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/downlink"
	"github.com/fieldpost/fieldpost/agent/keep"
	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/queue"
)

// newDownlink makes what takes commands from the broker; nil if it is off.
func (d *Device) newDownlink(cfg *config.Config) (*downlink.Downlink, error) {
	if !cfg.Downlink.Enabled {
		return nil, nil
	}
	c := downlink.Config{
		Topic: cfg.CommandTopic(), Answer: cfg.AnswerTopic(), Store: inlet{d}, Settings: downlinkSettings(cfg), Clock: agent.WallClock,
		Log: d.log.With().Str("part", "downlink").Logger(),
		Actions: map[string]downlink.Action{
			"status":         {Run: d.commandStatus},
			"config-get":     {Run: d.commandConfigGet},
			"flush":          {Run: d.commandFlush},
			"set-log-level":  {Run: d.commandLogLevel},
			"reconnect":      {Run: d.commandReconnect, Once: true},
			"restart-module": {Run: d.commandRestartModule, Once: true},
			"resend":         {Run: d.commandResend, Once: true},
		},
	}
	if cfg.Downlink.Prefix != "" && cfg.Sources.MQTT.Listen != "" {
		c.Forward = d.forward
	}
	return downlink.New(c)
}

func downlinkSettings(cfg *config.Config) downlink.Settings {
	return downlink.Settings{Allow: cfg.Downlink.Allow, MaxBytes: int(cfg.Downlink.MaxBytes), Rate: cfg.Downlink.Rate,
		MaxAge: time.Duration(cfg.Downlink.MaxAge)}
}

// forwardPrefix is what local clients may subscribe below; "" if nothing is forwarded.
func forwardPrefix(cfg *config.Config) string {
	if !cfg.Downlink.Enabled {
		return ""
	}
	return cfg.Downlink.Prefix
}

// forward hands a command to local software.
func (d *Device) forward(ctx context.Context, name string, payload []byte) error {
	err := d.local.Forward(ctx, name, payload)
	switch {
	case errors.Is(err, source.ErrNobody):
		return &downlink.Refusal{Code: downlink.CodeUnavailable, Err: err}
	case errors.Is(err, source.ErrUnconfirmed):
		return &downlink.Refusal{Code: downlink.CodeUnconfirmed, Err: err}
	}
	return err
}

// commandStatus answers with the few figures that tell how a device does, or with all of the status.
func (d *Device) commandStatus(_ context.Context, args json.RawMessage) (any, error) {
	var a struct {
		Full bool `json:"full"`
	}
	if err := downlink.Arguments(args, &a); err != nil {
		return nil, err
	}
	s := d.agent.Status()
	if a.Full {
		return s, nil
	}
	brief := briefStatus{Version: s.Version, Verdict: s.Verdict, Reason: s.Reason, UptimeS: int64(s.Time.Sub(*s.StartedAt).Seconds()),
		Waiting: s.Queue.Messages, QueueBytes: s.Queue.Bytes, OldestAt: s.Queue.OldestAt, Dropped: s.Queue.Dropped,
		Delivered: s.Delivery.Delivered, Repeated: s.Delivery.Repeated, Sessions: s.Link.Sessions}
	if m := s.Link.Modem; m != nil {
		brief.SignalDBm, brief.Operator = m.SignalDBm, m.Operator
	}
	return brief, nil
}

// briefStatus says in some 300 bytes what an operator asks first.
type briefStatus struct {
	Version    string            `json:"version"`
	Verdict    agent.Verdict     `json:"verdict"`
	Reason     string            `json:"reason"`
	UptimeS    int64             `json:"uptime_s"`
	Waiting    uint64            `json:"waiting"`
	QueueBytes uint64            `json:"queue_bytes"`
	OldestAt   *time.Time        `json:"oldest_at,omitempty"`
	Dropped    map[string]uint64 `json:"dropped,omitempty"`
	Delivered  uint64            `json:"delivered"`
	Repeated   uint64            `json:"repeated"`
	Sessions   uint64            `json:"sessions"`
	SignalDBm  *int              `json:"signal_dbm,omitempty"`
	Operator   string            `json:"operator,omitempty"`
}

// commandConfigGet answers with a section of the configuration in force, or one value; secrets are masked.
func (d *Device) commandConfigGet(_ context.Context, args json.RawMessage) (any, error) {
	var a struct {
		Key string `json:"key"`
	}
	if err := downlink.Arguments(args, &a); err != nil {
		return nil, err
	}
	var value any
	if err := yaml.Unmarshal(d.config.Load().Show(), &value); err != nil {
		return nil, err
	}
	if a.Key == "" {
		return value, nil
	}
	for name := range strings.SplitSeq(a.Key, ".") {
		section, ok := value.(map[string]any)
		if value, ok = section[name], ok && section[name] != nil; !ok {
			return nil, &downlink.Refusal{Code: downlink.CodeInvalid, Err: fmt.Errorf("there is no key %.80q in the configuration", a.Key)}
		}
	}
	return value, nil
}

// commandFlush has what was noted and not written yet go to disk, and what is gathered for a batch go out.
func (d *Device) commandFlush(ctx context.Context, args json.RawMessage) (any, error) {
	if err := downlink.Arguments(args, &struct{}{}); err != nil {
		return nil, err
	}
	if err := d.queue.Sync(ctx); err != nil {
		return nil, err
	}
	d.agent.Flush()
	return struct {
		Waiting uint64 `json:"waiting"`
	}{agent.QueueStatusOf(d.queue).Messages}, nil
}

// commandLogLevel changes the log's level, for a while or until the next start.
func (d *Device) commandLogLevel(_ context.Context, args json.RawMessage) (any, error) {
	var a struct {
		Level string `json:"level"`
		For   string `json:"for"`
	}
	if err := downlink.Arguments(args, &a); err != nil {
		return nil, err
	}
	if d.options.Level == nil {
		return nil, &downlink.Refusal{Code: downlink.CodeUnavailable, Err: errors.New("the level of this log can't be changed")}
	}
	var span config.Duration
	if a.For != "" {
		if err := span.UnmarshalText([]byte(a.For)); err != nil || span <= 0 {
			return nil, &downlink.Refusal{Code: downlink.CodeInvalid, Err: fmt.Errorf("for: %.40q is no time to keep the level for, such as 10m", a.For)}
		}
	}
	if err := d.options.Level.SetFor(a.Level, time.Duration(span)); err != nil {
		return nil, &downlink.Refusal{Code: downlink.CodeInvalid, Err: err}
	}
	return map[string]string{"level": a.Level}, nil
}

// commandReconnect parts from the broker. The answer is stored meanwhile, and goes out over the next connection.
func (d *Device) commandReconnect(_ context.Context, args json.RawMessage) (any, error) {
	if err := downlink.Arguments(args, &struct{}{}); err != nil {
		return nil, err
	}
	d.agent.Reconnect()
	return nil, nil
}

// remoteSpacing is the least time between two restarts that are commanded from afar: the first step of the vendor's spacing
// (G9.4), which by itself begins anew with each connection, and commands only come over one.
const remoteSpacing = 10 * time.Minute

// commandRestartModule restarts the module if the spacing between two restarts allows it. There is no way around that from afar.
func (d *Device) commandRestartModule(ctx context.Context, args json.RawMessage) (any, error) {
	var a struct {
		Hard bool `json:"hard"`
	}
	if err := downlink.Arguments(args, &a); err != nil {
		return nil, err
	}
	m, ok := d.uplink.Module()
	if !ok {
		return nil, &downlink.Refusal{Code: downlink.CodeUnavailable, Err: errors.New("there is no module: the link is the machine's own network")}
	}
	modem, err := m.Current()
	if err != nil {
		return nil, &downlink.Refusal{Code: downlink.CodeUnavailable, Err: err}
	}
	path := filepath.Join(d.config.Load().DataDir, "remote-restart")
	wait, err := remoteWait(path, time.Now())
	if err != nil {
		return nil, err
	}
	if wait > 0 {
		return nil, &downlink.Refusal{Code: downlink.CodeTooSoon, Err: fmt.Errorf("the module was restarted by a command not long ago; the next one is allowed in %v",
			wait.Round(time.Second))}
	}
	if err := keep.Save(path, time.Now()); err != nil { // before, so that no restart of the agent forgets it
		return nil, err
	}
	err = modem.Restart(ctx, a.Hard, false)
	if errors.Is(err, gsmnet.ErrTooSoon) {
		return nil, &downlink.Refusal{Code: downlink.CodeTooSoon, Err: err}
	}
	return nil, err
}

// remoteWait is for how long yet no restart may be commanded. A last one in the future is of a clock that was wrong, and counts as
// one at this moment.
func remoteWait(path string, now time.Time) (time.Duration, error) {
	var last time.Time
	if err := keep.Load(path, &last); err != nil && !errors.Is(err, keep.ErrDamaged) {
		return 0, err
	}
	if last.IsZero() {
		return 0, nil
	}
	if last.After(now) {
		return remoteSpacing, keep.Save(path, now)
	}
	return remoteSpacing - now.Sub(last), nil
}

// commandResend puts delivered readings into the queue once more, by their sequences.
func (d *Device) commandResend(ctx context.Context, args json.RawMessage) (any, error) {
	var a struct {
		From uint64 `json:"from"`
		To   uint64 `json:"to"`
	}
	if err := downlink.Arguments(args, &a); err != nil {
		return nil, err
	}
	if d.config.Load().Queue.KeepReleased == 0 {
		return nil, &downlink.Refusal{Code: downlink.CodeUnavailable, Err: errors.New("delivered readings are not kept here: set queue.keep_released")}
	}
	n, missing, err := d.queue.Resend(ctx, a.From, a.To)
	if errors.Is(err, queue.ErrInvalid) {
		return nil, &downlink.Refusal{Code: downlink.CodeInvalid, Err: err}
	}
	return struct {
		Messages int `json:"messages"`
		Missing  int `json:"missing"`
	}{n, missing}, err
}

// inlet is where answers are stored, in the same transaction as the note that a command is done.
var _ downlink.Store = inlet{}
