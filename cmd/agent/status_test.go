package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent"
)

// searchingStatus is an agent whose module has lost its network.
func searchingStatus(now time.Time) agent.Status {
	signal := -109
	earlier := now.Add(-12 * time.Minute)
	st := agent.Status{
		Version: "1.2.3", Device: "pump-07", Running: true, Time: now, Verdict: agent.VerdictConnecting,
		Reason: "SIM ready, searching for a network for 12 min; last registered 14:02; 31 messages wait",
		Link: agent.LinkStatus{Kind: "modem", Broker: "mqtts://broker.example:8883",
			Modem: &agent.ModemStatus{Model: "M95", Operator: "Example Mobile", SignalDBm: &signal, IP: "10.0.0.7"}},
		Queue:    agent.QueueStatus{Messages: 31, Bytes: 2048, MaxBytes: 64 << 20, OldestAt: &earlier},
		Delivery: agent.DeliveryStatus{Accepted: 240, Delivered: 209, Repeated: 2},
		Sources:  []agent.SourceStatus{{Name: "mqtt", Address: "127.0.0.1:1884", Accepted: 240, LastAt: &now, LastTopic: "site/pressure"}},
		Outages:  []agent.Outage{{From: earlier, Cause: agent.CauseLost, Why: "no coverage"}},
	}
	for _, s := range []agent.Step{agent.StepPort, agent.StepPower, agent.StepSIM} {
		st.Link.Steps = append(st.Link.Steps, agent.StepStatus{Step: s, State: agent.StepOK, Since: now.Add(-2 * time.Hour)})
	}
	st.Link.Steps = append(st.Link.Steps, agent.StepStatus{Step: agent.StepRegistration, State: agent.StepWaiting, Since: earlier, Why: "searching for a network"})
	for _, s := range []agent.Step{agent.StepAttach, agent.StepIP, agent.StepTCP, agent.StepTLS, agent.StepMQTT} {
		st.Link.Steps = append(st.Link.Steps, agent.StepStatus{Step: s, State: agent.StepIdle})
	}
	return st
}

func printed(st agent.Status) string {
	var out bytes.Buffer
	printStatus(&out, st)
	return out.String()
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 14, 14, 0, 0, time.UTC)
	want := `CONNECTING: SIM ready, searching for a network for 12 min; last registered
14:02; 31 messages wait

device           pump-07, fieldpost 1.2.3
link             modem to mqtts://broker.example:8883
module           M95, Example Mobile, -109 dBm, 10.0.0.7
  + port         ok for 2 h
  + power        ok for 2 h
  + sim          ok for 2 h
  > registration waiting for 12 min: searching for a network
  . attach       not yet
  . ip           not yet
  . tcp          not yet
  . tls          not yet
  . mqtt         not yet
queue            31 messages, 2.0 KiB of 64.0 MiB, the oldest 12 min old
delivery         240 accepted, 209 delivered, 2 repeated
source mqtt      127.0.0.1:1884: 240 accepted, last 0 s ago on site/pressure
outage           Mar 1 14:02 for 12 min, still: no coverage
`
	if diff := cmp.Diff(want, printed(searchingStatus(now))); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestStatusTellsRoaming(t *testing.T) {
	t.Parallel()
	st := searchingStatus(time.Date(2026, 3, 1, 14, 14, 0, 0, time.UTC))
	st.Link.Modem.Registration = "roaming"
	if got, want := printed(st), "M95, Example Mobile, roaming, -109 dBm"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

// TestStatusFitsAScreen in the worst of all cases: long texts everywhere, and more of everything than there is room for.
func TestStatusFitsAScreen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 14, 14, 0, 0, time.UTC)
	long := strings.Repeat("a long text with ümlauts and \x1b[31m colours, ", 12)
	st := searchingStatus(now)
	st.Verdict, st.Reason, st.Device, st.Link.Broker = agent.VerdictBlocked, long, strings.Repeat("d", 64), "mqtts://"+strings.Repeat("broker.", 30)+"example:8883"
	st.Link.Modem.Operator, st.Link.Steps[3].Why = long, long
	st.Link.Keepalive = &agent.KeepaliveStatus{IntervalSeconds: 270}
	st.Queue.Dropped = map[string]uint64{"expired": 123456, "full": 99, "purged": 1234567, "age": 3, "damaged": 12, "poison": 0}
	st.Delivery.SetAside = &agent.SuspectStatus{Seq: 123456, Topic: long, Since: now}
	st.Queue.Recovery = &agent.RecoveryStatus{Damage: long, SetAside: "/var/lib/fieldpost/" + strings.Repeat("x", 80), Saved: 12, Lost: 3}
	st.Sources = nil
	for i := range 24 {
		st.Sources = append(st.Sources, agent.SourceStatus{Name: fmt.Sprintf("serial-%d-%s", i, long), Address: long, LastTopic: long, LastAt: &now})
	}
	st.Sources[20].Error = "the port is taken"
	st.Sources[20].Address, st.Sources[20].Name = "/dev/ttyUSB3", "scale"
	for range 16 {
		st.Outages = append(st.Outages, st.Outages[0])
		st.Outages[0].Why = long
	}
	text := printed(st)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > 23 {
		t.Errorf("got %d lines, want at most 23", len(lines))
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 79 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if strings.ContainsRune(text, 0x1b) {
		t.Error("a text from outside drives the terminal")
	}
	says(t, text, "BLOCKED: a long", "  + ok           port, power, sim", "  > registration waiting", "  . not yet      attach, ip, tcp, tls, mqtt",
		"  dropped        1234567 purged, 123456 expired, 99 full, 12 damaged, 3 age", "  damaged", "delivery",
		"source scale     the port is taken\n", "and 22 more sources", "outage")
	if t.Failed() {
		t.Log("\n" + text)
	}
}

// TestStatusShowsWhatToDoAboutASource: the remedy stands at the end of a long error, and must not be cut off.
func TestStatusShowsWhatToDoAboutASource(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 14, 14, 0, 0, time.UTC)
	st := searchingStatus(now)
	st.Sources = append(st.Sources, agent.SourceStatus{Name: "serial:scale", Address: "/dev/ttyUSB3", Accepted: 12, Refused: 1,
		Error: "source: serial:scale: opening /dev/ttyUSB3: permission denied: let the agent's user open it (group dialout), and look into who has the port"})
	want := `source serial:s… serial:scale: opening /dev/ttyUSB3: permission denied: let the
                 agent's user open it (group dialout), and look into who has
                 the port
`
	says(t, printed(st), want+"                 /dev/ttyUSB3: 12 accepted, 1 refused\nsource mqtt ")
	for i := range 20 { // no room for all
		st.Sources = append(st.Sources, agent.SourceStatus{Name: fmt.Sprint("tail:", i), Address: "/var/log/x"})
	}
	says(t, printed(st), want+"source mqtt ")
}

// TestStatusWatchGoesOn: a question without an answer must not end the watching.
func TestStatusWatchGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(s.data, "control.sock")) // somebody who hangs up
	if err != nil {
		t.Fatal(err)
	}
	hung := make(chan struct{})
	go func() {
		defer close(hung)
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
		l.Close()
	}()
	p := fieldpost(t, "status --watch", "status", "--watch", "--config", s.conf)
	p.waitFor("no answer: ", 20*time.Second)
	<-hung
	p.waitFor("STOPPED: the agent is not running", 20*time.Second)
	if code := p.stop(10 * time.Second); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	if escapes.MatchString(p.text()) {
		t.Errorf("control sequences off a terminal: %q", p.text())
	}
}

func TestStatusTellsWhatTheEncodingSaves(t *testing.T) {
	t.Parallel()
	st := searchingStatus(time.Now())
	st.Encoding = agent.EncodingStatus{Format: agent.FormatBatch, Dictionary: "199ad3ba", Published: 10, Messages: 485, BytesIn: 42_000, BytesOut: 9_100}
	says(t, printed(st), "encoding         batch, deflate: 48.5 a message, 42.0 kB as 9.1 kB (22 %)\n")
	st.Encoding = agent.EncodingStatus{Format: agent.FormatEnvelope}
	says(t, printed(st), "encoding         envelope\n")
	st.Encoding = agent.EncodingStatus{Format: agent.FormatPlain, Published: 5, Messages: 5, BytesIn: 1, BytesOut: 1}
	if got := printed(st); strings.Contains(got, "encoding") {
		t.Errorf("plain messages have no encoding to speak of:\n%s", got)
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"Wärme °C": "Wärme °C", "a\x1b[2Jb": "a [2Jb", "a\nb\u009bc": "a b c",
		"site/\u202eevil": "site/ evil", "a\u200bb\u2066c": "a b c", // turns what follows round, and widths of none
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
