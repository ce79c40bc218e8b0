//go:build !small

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/agent/web"
	"github.com/fieldpost/fieldpost/internal/device"
	"github.com/fieldpost/fieldpost/internal/field"
	"github.com/fieldpost/fieldpost/internal/field/bubble"
	"github.com/fieldpost/fieldpost/queue"
)

// fieldDays is how long the simulated field is shown, and fieldPace for how long each ten minutes of it stay to be seen: a
// month takes two minutes.
const (
	fieldDays = 30
	fieldPace = 20 * time.Millisecond
	// fieldPoint is the time between two points of the page's charts: half an hour of the month, of which the charts hold 30 days.
	fieldPoint = 3 * fieldPace
)

// fieldDevice is the real agent as the simulated field knows it.
type fieldDevice struct{ *device.Device }

func (d fieldDevice) Accept(ctx context.Context, msgs ...queue.Message) (uint64, error) {
	return d.Agent().Accept(ctx, msgs...)
}
func (d fieldDevice) Status() agent.Status { return d.Agent().Status() }
func (d fieldDevice) Reconnect()           { d.Agent().Reconnect() }

// startInField wires an agent for the simulated field.
func startInField(s field.Setup) (field.Device, error) {
	cfg := config.Default()
	cfg.Device, cfg.DataDir = "pump-07", s.Dir
	cfg.Modem.APN, cfg.Modem.PIN = "CMNET", config.Secret(s.PIN)
	cfg.Broker.URL = config.List{"mqtt://broker.example:1883"}
	cfg.Encoding.Format = s.Encoding
	if s.MaxBytes > 0 {
		cfg.Queue.MaxBytes = config.Size(s.MaxBytes)
	}
	cfg.Queue.CommitWait = config.Duration(s.CommitWait)
	if s.MaxAge > 0 {
		cfg.Queue.MaxAge = config.Duration(s.MaxAge)
	}
	if s.CAFile != "" {
		cfg.Broker.URL, cfg.Broker.CAFile = config.List{"mqtts://broker.example:8883"}, s.CAFile
	}
	d, err := device.New(cfg, device.Options{Version: version, Bare: true, OpenPort: s.Open, Restart: s.Restart,
		Machine: device.Machine{Boot: s.Boot, Since: s.Since, Time: s.Time}, Verify: verifyQueue,
		Log: zerolog.New(s.Log).Level(zerolog.InfoLevel).With().Timestamp().Logger()})
	if err != nil {
		return nil, err
	}
	return fieldDevice{d}, nil
}

// fieldVerdict is how a month in the simulated field ended. Its first keys are those of the demo's verdict.
type fieldVerdict struct {
	Schema       int                `json:"schema"`
	Seed         uint64             `json:"seed"`
	Run          string             `json:"run"`       // what --field takes to play it again
	Published    int                `json:"published"` // accepted by the agent
	Received     int                `json:"received"`  // different readings at the cloud
	Missing      int                `json:"missing"`
	Duplicates   int                `json:"duplicates"`   // where the QoS allows none
	OutOfOrder   int                `json:"out_of_order"` // first arrivals
	Outages      int                `json:"outages"`      // losses of coverage
	Reconnects   int                `json:"reconnects"`
	AirBytesUp   uint64             `json:"air_bytes_up"`
	AirBytesDown uint64             `json:"air_bytes_down"`
	DurationS    float64            `json:"duration_s"` // of the demo
	VirtualDays  float64            `json:"virtual_days"`
	Faults       map[field.Kind]int `json:"faults"`
	Repeats      int                `json:"repeats"` // where the QoS allows them
	Dropped      int                `json:"dropped"` // by the queue's bound, and counted
	AgentStarts  int                `json:"agent_starts"`
	Violations   []string           `json:"violations"`
}

func fieldVerdictOf(r field.Report, took time.Duration) fieldVerdict {
	v := fieldVerdict{
		Schema: 1, Seed: r.Replay.Seed, Run: r.Replay.String(), Published: r.Accepted, Received: r.Delivered, Missing: max(0, r.Accepted-r.Delivered-r.Dropped),
		Duplicates: r.Broken["I4"], OutOfOrder: r.Broken["I3"], Outages: r.Faults[field.Coverage] + r.Faults[field.AllGone],
		Reconnects: max(0, r.Connects-1), AirBytesUp: r.AirUp, AirBytesDown: r.AirDown, DurationS: took.Round(100 * time.Millisecond).Seconds(),
		VirtualDays: r.Length.Round(time.Minute).Hours() / 24, Faults: r.Faults, Repeats: r.Repeated + r.Doubled, Dropped: r.Dropped,
		AgentStarts: r.Lives, Violations: []string{},
	}
	for _, x := range r.Violations {
		v.Violations = append(v.Violations, x.String())
	}
	return v
}

func (v fieldVerdict) good() bool {
	return v.Published > 0 && v.Missing == 0 && v.Duplicates == 0 && v.OutOfOrder == 0 && len(v.Violations) == 0
}

func (v fieldVerdict) print(w io.Writer) {
	word := "GOOD"
	if !v.good() {
		word = "BAD"
	}
	faults := 0
	for _, n := range v.Faults {
		faults += n
	}
	fmt.Fprintf(w, "verdict: %s after %.1f days in the simulated field, played in %.0f s\n", word, v.VirtualDays, v.DurationS)
	fmt.Fprintf(w, "  published     %6d  readings, each accepted by the agent\n", v.Published)
	fmt.Fprintf(w, "  received      %6d  different readings at the cloud\n", v.Received)
	fmt.Fprintf(w, "  missing       %6d  %d dropped by the queue's bound and counted\n", v.Missing, v.Dropped)
	fmt.Fprintf(w, "  duplicates    %6d  where the QoS allows none; %d repeats where it does\n", v.Duplicates, v.Repeats)
	fmt.Fprintf(w, "  out of order  %6d\n", v.OutOfOrder)
	fmt.Fprintf(w, "  faults        %6d  %d of them losses of coverage; %s of the agent, %s\n",
		faults, v.Outages, plural(v.AgentStarts, "start"), plural(v.Reconnects+1, "connection"))
	fmt.Fprintf(w, "  on the air    %s up, %s down (%.0f bytes a reading)\n", size(v.AirBytesUp), size(v.AirBytesDown),
		float64(v.AirBytesUp+v.AirBytesDown)/float64(max(v.Received, 1)))
	for _, x := range v.Violations {
		fmt.Fprintln(w, " ", x)
	}
	fmt.Fprintf(w, "again: fieldpost demo --field %s\n", v.Run)
}

// runFieldDemo plays a month in the simulated field: on the terminal, and on the status page if one is asked for.
func runFieldDemo(ctx context.Context, o demoOptions, out, errOut io.Writer) error {
	replay, err := field.ParseReplay(o.field, fieldDays*24)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("demo: --field: %w", err)}
	}
	dir, err := field.TempDir()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)
	var shown atomic.Pointer[agent.Status]
	shown.Store(&agent.Status{Schema: agent.StatusSchema, Version: version, Device: "pump-07", Verdict: agent.VerdictStopped,
		Time: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}) // when every bubble begins
	lines := new(logLines)
	stopPage, err := fieldPage(ctx, o.listen, func() agent.Status { return *shown.Load() }, lines)
	if err != nil {
		return err
	}
	defer stopPage()

	screen := out
	if o.asJSON {
		screen = errOut
	}
	begin := time.Now()
	view := &fieldView{canvas: newCanvas(screen), seed: replay.Seed}
	told := faultTeller{log: zerolog.New(lines).With().Timestamp().Logger(), before: make(map[field.Kind]int)}
	var report field.Report
	start := func(s field.Setup) (field.Device, error) {
		s.Log = io.MultiWriter(s.Log, troubleOnly{lines})
		return startInField(s)
	}
	err = bubble.Run(func(settle func()) (err error) {
		report, err = field.Run(field.Options{
			Replay: replay, Start: start, Settle: settle, Dir: dir,
			Tick: func(m field.Moment) error {
				if m.Status != nil {
					shown.Store(m.Status)
				} else {
					off := *shown.Load()
					off.Running, off.Verdict, off.Reason = false, agent.VerdictStopped, "the box has no power"
					shown.Store(&off)
				}
				told.tell(m.Report.Faults)
				view.draw(m)
				bubble.RealSleep(fieldPace)
				return ctx.Err()
			},
		})
		return err
	})
	switch {
	case errors.Is(err, context.Canceled):
		return &exitError{exitFailed, errors.New("demo: interrupted before the verdict")}
	case err != nil:
		return fmt.Errorf("demo: %w", err)
	}
	v := fieldVerdictOf(report, time.Since(begin))
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

// fieldPage shows the agent in the field on a page; stop waits for its end.
func fieldPage(ctx context.Context, listen string, status func() agent.Status, lines *logLines) (stop func(), err error) {
	if listen == "" {
		return func() {}, nil
	}
	page, err := web.New(web.Config{Listen: listen, Status: status, PointEvery: fieldPoint, Reach: fieldDays * 24 * time.Hour,
		Logged: lines.all, Log: zerolog.Nop()})
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("demo: %w", err)}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = page.Run(ctx)
	}()
	return func() { cancel(); <-ended }, nil
}

// troubleOnly leaves out that all is well, which the agent says every ten minutes: the page shows the last dozen lines.
type troubleOnly struct{ io.Writer }

func (w troubleOnly) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(`"level":"info"`)) {
		return len(line), nil
	}
	return w.Writer.Write(line)
}

// faultTeller writes between the agent's lines of the log what the field has done to it.
type faultTeller struct {
	log    zerolog.Logger
	before map[field.Kind]int
}

func (t *faultTeller) tell(faults map[field.Kind]int) {
	for _, kind := range slices.Sorted(maps.Keys(faults)) {
		for ; t.before[kind] < faults[kind]; t.before[kind]++ {
			t.log.Error().Msg("the field's doing: " + string(kind))
		}
	}
}

// fieldView draws how the month goes: on a terminal in place, elsewhere a line a day.
type fieldView struct {
	canvas
	seed  uint64
	ticks int
}

func (v *fieldView) draw(m field.Moment) {
	v.ticks++
	perDay := int(24 * time.Hour / (10 * time.Minute))
	switch {
	case v.screen == nil && v.ticks%perDay == 0:
		fmt.Fprintf(v.out, "day %2d: %d accepted, %d at the cloud, %d faults so far, %d violations\n", v.ticks/perDay,
			m.Report.Accepted, m.Report.Delivered, faultsOf(m), len(m.Report.Violations))
	case v.screen != nil && v.ticks%5 == 0: // ten times a second
		v.paint(v.rows(m))
	}
}

func faultsOf(m field.Moment) (n int) {
	for _, k := range m.Report.Faults {
		n += k
	}
	return n
}

func (v *fieldView) rows(m field.Moment) []row {
	waiting := 0
	link := row{"  agent     ", red, "○ no power"}
	if st := m.Status; st != nil {
		waiting = int(st.Queue.Messages)
		link = row{"  agent     ", yellow, "◌ " + st.Reason}
		if st.Verdict == agent.VerdictOK {
			link = row{"  agent     ", green, "● " + st.Reason}
		}
	}
	on := row{"  now       ", green, "no fault"}
	if len(m.On) > 0 {
		var names []string
		for _, f := range m.On {
			names = append(names, string(f.Kind))
		}
		slices.Sort(names)
		on = row{"  now       ", red, strings.Join(names, ", ")}
	}
	r := m.Report
	return []row{
		{fmt.Sprintf("day %2d, %02d:%02d  ", int(m.Now.Hours())/24+1, int(m.Now.Hours())%24, int(m.Now.Minutes())%60), bold,
			fmt.Sprintf("a bad month in the field, seed %d", v.seed)},
		{},
		{plain: fmt.Sprintf("  faults    %d so far", faultsOf(m))},
		on,
		link,
		{plain: fmt.Sprintf("  sensors   %d readings accepted", r.Accepted)},
		{plain: fmt.Sprintf("  on disk   %s %d waiting", bar(waiting, 500), waiting)},
		{plain: fmt.Sprintf("  cloud     %s %d received", bar(r.Delivered, r.Accepted), r.Delivered)},
		{plain: fmt.Sprintf("            %d broken promises", len(r.Violations))},
		{plain: fmt.Sprintf("  on air    %s up, %s down", size(r.AirUp), size(r.AirDown))},
		{},
	}
}
