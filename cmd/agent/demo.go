package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"github.com/fieldpost/fieldpost/internal/device"
)

// The demo's pace: readings spread over demoSpread, and an outage that is long enough to lose the connection (the
// network takes the context away after demoPatience) and short enough to be watched.
const (
	demoSpread   = 30 * time.Second
	demoOutage   = 12 * time.Second
	demoPatience = 6 * time.Second
	// demoReach is how far back the status page's charts go in the end.
	demoReach = 2 * time.Minute
)

type demoOptions struct {
	messages int
	seed     uint64
	field    string // a month in the simulated field instead; "": not
	listen   string
	asJSON   bool
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole thing with nothing installed",
		Long: `Runs the agent against a simulated module on a pseudo terminal at 115200 baud, behind a radio at GPRS
speed, with an embedded broker as the cloud and three sensors that publish to the local listener. In the
middle the coverage is lost for a while and takes the connection with it; the sensors go on.

With --field SEED a month passes in two minutes: the agent lives through lost coverage, power cuts, broker
restarts, hung modules and much more, as the seed has it, and a model checks the history of every reading.

Ends with a verdict. The exit code is 0 only if every accepted reading reached the cloud, once and in order.`,
		Args: cobra.NoArgs,
		RunE: withCode(func(cmd *cobra.Command, _ []string) error {
			if o.messages < 1 || o.messages > 100_000 {
				return &exitError{exitUsage, fmt.Errorf("demo: --messages %d: it must be from 1 to 100000", o.messages)}
			}
			if o.field != "" {
				return runFieldDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return runDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}),
	}
	cmd.Flags().IntVar(&o.messages, "messages", 240, "readings to publish")
	cmd.Flags().Uint64Var(&o.seed, "seed", 1, "of the readings, the radio and the moment of the outage")
	cmd.Flags().StringVar(&o.field, "field", "", "play a bad month in the simulated field instead, from this seed, in two minutes")
	cmd.Flags().StringVar(&o.listen, "listen", "", "address of the status page, such as 127.0.0.1:8080 (default: no page)")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the verdict as one JSON object")
	return cmd
}

// verdict is the demo's result.
type verdict struct {
	Schema       int     `json:"schema"`
	Seed         uint64  `json:"seed"`
	Messages     int     `json:"messages"`  // asked for
	Published    int     `json:"published"` // accepted by the agent
	Received     int     `json:"received"`  // different readings at the cloud
	Missing      int     `json:"missing"`
	Duplicates   int     `json:"duplicates"`
	OutOfOrder   int     `json:"out_of_order"`
	Outages      int     `json:"outages"`    // losses of coverage
	Reconnects   uint64  `json:"reconnects"` // MQTT sessions after the first
	AirBytesUp   uint64  `json:"air_bytes_up"`
	AirBytesDown uint64  `json:"air_bytes_down"`
	DurationS    float64 `json:"duration_s"`
}

func (v verdict) good() bool {
	return v.Published == v.Messages && v.Missing == 0 && v.Duplicates == 0 && v.OutOfOrder == 0
}

func runDemo(ctx context.Context, o demoOptions, out, errOut io.Writer) error {
	dir, err := os.MkdirTemp("", "fieldpost-demo")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	d, err := startDemo(ctx, o, dir)
	if err != nil {
		return err
	}
	defer d.close()
	screen := out
	if o.asJSON {
		screen = errOut
	}
	v, err := d.play(ctx, newDemoView(screen))
	if err != nil {
		return err
	}
	if o.asJSON {
		err = json.NewEncoder(out).Encode(v)
	} else {
		v.print(out)
	}
	if err == nil && !v.good() {
		err = &exitError{code: exitFailed}
	}
	return err
}

// demo is the stage: cloud, module, agent and sensors.
type demo struct {
	options demoOptions
	cloud   *cloud
	module  *gsmsim.Module
	device  *device.Device
	sensors sensors
	local   string // address of the agent's MQTT listener
	stop    context.CancelFunc
	ended   chan error // of the agent
	begin   time.Time
}

func startDemo(ctx context.Context, o demoOptions, dir string) (_ *demo, err error) {
	d := &demo{options: o, ended: make(chan error, 1), begin: time.Now(), stop: func() {}}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if d.cloud, err = startCloud("demo/#"); err != nil {
		return nil, err
	}
	d.module = gsmsim.New(gsmsim.Config{Seed: o.seed, Network: gsmsim.Network{LoseAfter: demoPatience}})
	port, err := d.module.PTY(filepath.Join(dir, "modem"))
	if err != nil {
		return nil, fmt.Errorf("demo: no pseudo terminal for the simulated module: %w", err)
	}
	if d.local, err = freeAddress(); err != nil {
		return nil, err
	}
	cfg, err := demoConfig(o, dir, port, d.cloud.addr, d.local)
	if err != nil {
		return nil, err
	}
	lines := new(logLines)
	log := zerolog.New(lines).Level(zerolog.InfoLevel).With().Timestamp().Logger()
	if d.device, err = device.New(cfg, device.Options{Version: version, ChartReach: demoReach, Logged: lines.all, Log: log}); err != nil {
		return nil, err
	}
	agentCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	go func() { d.ended <- d.device.Run(agentCtx) }()
	return d, nil
}

// demoConfig is an ordinary configuration. QoS 2 is what makes the broker deliver once although the connection breaks.
func demoConfig(o demoOptions, dir, port, broker, local string) (*config.Config, error) {
	cfg := config.Default()
	cfg.Device = "demo"
	cfg.DataDir = filepath.Join(dir, "data")
	cfg.Modem.Port, cfg.Modem.APN = port, "CMNET"
	cfg.Broker.URL, cfg.Broker.QoS = config.List{"mqtt://" + broker}, 2
	cfg.Sources.MQTT.Listen, cfg.Sources.HTTP.Listen = local, ""
	cfg.Web.Listen = o.listen
	if err := cfg.Validate(); err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("demo: %w", err)}
	}
	return cfg, nil
}

// play runs the demo to its end and counts.
func (d *demo) play(ctx context.Context, view *demoView) (verdict, error) {
	limit := 90*time.Second + time.Duration(d.options.messages)*200*time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	sensed := make(chan error, 1)
	go func() {
		if err := d.listening(ctx); err != nil {
			sensed <- err
			return
		}
		sensed <- d.sensors.run(ctx, d.local, d.options.messages, demoSpread, d.options.seed)
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	outage := newOutage(d.options)
	var allSensed bool
	for {
		f := d.frame(outage.covered)
		outage.follow(f, d.module)
		view.draw(f)
		if allSensed && outage.over && f.received >= f.accepted && f.status.Queue.Messages == 0 {
			break
		}
		select {
		case <-tick.C:
		case err := <-sensed:
			if err != nil && ctx.Err() == nil {
				return verdict{}, err
			}
			allSensed = err == nil
		case err := <-d.ended:
			d.ended <- nil
			return verdict{}, errors.Join(errors.New("demo: the agent ended"), err)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return verdict{}, &exitError{exitFailed, errors.New("demo: interrupted before the verdict")}
			}
			return d.count(outage), nil // what is missing by now is the verdict
		}
	}
	return d.count(outage), nil
}

// listening waits until the agent's listener takes connections.
func (d *demo) listening(ctx context.Context) error {
	for {
		conn, err := net.DialTimeout("tcp", d.local, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("demo: the agent's listener doesn't come up: %w", err)
		}
	}
}

// outage is the loss of coverage in the middle.
type outage struct {
	at      int // readings at the cloud when it begins
	begun   time.Duration
	over    bool
	covered bool
}

func newOutage(o demoOptions) *outage {
	share := 0.3 + 0.2*rand.New(rand.NewPCG(o.seed, 7)).Float64()
	return &outage{at: max(1, int(share*float64(o.messages))), covered: true}
}

// follow switches the coverage.
func (a *outage) follow(f demoFrame, m *gsmsim.Module) {
	switch {
	case a.over:
	case a.covered && f.received >= a.at:
		m.SetCoverage(false)
		a.covered, a.begun = false, f.elapsed
	case !a.covered && f.elapsed-a.begun >= demoOutage:
		m.SetCoverage(true)
		a.covered, a.over = true, true
	}
}

func (d *demo) frame(covered bool) demoFrame {
	f := demoFrame{elapsed: time.Since(d.begin), covered: covered, messages: d.options.messages,
		accepted: int(d.sensors.accepted.Load()), status: d.device.Agent().Status()}
	f.received, f.duplicates, f.disorders = d.cloud.counts()
	f.up, f.down = d.air()
	return f
}

func (d *demo) air() (up, down uint64) {
	s := d.module.Stats()
	return s.AirUp, s.AirDown
}

func (d *demo) count(a *outage) verdict {
	v := verdict{Schema: 1, Seed: d.options.seed, Messages: d.options.messages, Published: int(d.sensors.accepted.Load()),
		DurationS: time.Since(d.begin).Round(100 * time.Millisecond).Seconds()}
	v.Received, v.Duplicates, v.OutOfOrder = d.cloud.counts()
	v.Missing = max(0, v.Published-v.Received)
	if a.begun > 0 {
		v.Outages = 1
	}
	if n := d.device.Agent().Status().Link.Sessions; n > 1 {
		v.Reconnects = n - 1
	}
	v.AirBytesUp, v.AirBytesDown = d.air()
	return v
}

func (d *demo) close() {
	d.stop()
	if d.device != nil {
		<-d.ended
		_ = d.device.Close()
	}
	if d.module != nil {
		_ = d.module.Close()
	}
	if d.cloud != nil {
		d.cloud.close()
	}
}

func (v verdict) print(w io.Writer) {
	word := "GOOD"
	if !v.good() {
		word = "BAD"
	}
	fmt.Fprintf(w, "verdict: %s after %.0f s\n", word, v.DurationS)
	fmt.Fprintf(w, "  published     %6d  of %s, each accepted by the agent\n", v.Published, plural(v.Messages, "reading"))
	fmt.Fprintf(w, "  received      %6d  different readings at the cloud\n", v.Received)
	fmt.Fprintf(w, "  missing       %6d\n", v.Missing)
	fmt.Fprintf(w, "  duplicates    %6d\n", v.Duplicates)
	fmt.Fprintf(w, "  out of order  %6d\n", v.OutOfOrder)
	fmt.Fprintf(w, "  outages       %6d  loss of coverage; %s\n", v.Outages, plural(v.Reconnects, "reconnect"))
	fmt.Fprintf(w, "  on the air    %s up, %s down (%.0f bytes a reading)\n", size(v.AirBytesUp), size(v.AirBytesDown),
		float64(v.AirBytesUp+v.AirBytesDown)/float64(max(v.Received, 1)))
	fmt.Fprintf(w, "again: fieldpost demo --seed %d --messages %d\n", v.Seed, v.Messages)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: no free port on the loopback interface: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
