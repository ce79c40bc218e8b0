package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const minimal = `device: pump-07
modem: {apn: CMNET}
broker: {url: "mqtt://broker.example"}
`

func parse(t *testing.T, text string, env ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problems(t *testing.T, err error) []config.Problem {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a *config.Error", err)
	}
	return e.Problems
}

func Example() {
	_, err := config.Parse("fieldpost.yaml", []byte(`device: pump-07
modem:
  apn: CMNET
  baud: 115000
broker:
  urll: mqtt://broker.example
`), nil)
	fmt.Println(err)
	// Output:
	// config: fieldpost.yaml:4:9: modem.baud: 115000 is not a rate of the module: use one of 4800 9600 19200 38400 57600 115200
	//     4 |   baud: 115000
	//       |         ^
	// fieldpost.yaml:5:1: broker.url: is missing: write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS
	//     5 | broker:
	//       | ^
	// fieldpost.yaml:6:3: unknown key "urll" in section "broker"
	//     6 |   urll: mqtt://broker.example
	//       |   ^
	//       = did you mean "url"?
}

func TestDefaultsApplyToWhatIsLeftOut(t *testing.T) {
	got := parse(t, minimal)
	want := config.Default()
	want.Device = "pump-07"
	want.Modem.APN = "CMNET"
	want.Broker.URL = config.List{"mqtt://broker.example"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEmptySectionsAndValuesKeepDefaults(t *testing.T) {
	got := parse(t, minimal+"queue:\n  # max_bytes: 1MiB\nlog:\n  level:\n")
	if diff := cmp.Diff(parse(t, minimal), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	got := parse(t, `device: 0123
data_dir: ${STATE}/fieldpost
modem: {apn: a.b-c, user: me, pin: "${PIN}", password: "${PW}"}
broker:
  url: [mqtts://a.example, "mqtt://[::1]:1999/"]
  keepalive: 9m59s
queue: {max_bytes: 3GiB, max_age: 1h30m, full: refuse, commit_wait: 0s, release_wait: 50ms, drain: live_first, history_share: 30, history_topic: "", loss_topic: losses}
sources: {mqtt: {listen: off}, http: {listen: ""}}
`, "STATE=/srv", "PIN=0042", "PW=p w")
	if got.Device != "0123" || got.DataDir != "/srv/fieldpost" {
		t.Errorf("got device %q, data_dir %q", got.Device, got.DataDir)
	}
	if got.Modem.PIN.Reveal() != "0042" || got.Modem.Password.Reveal() != "p w" {
		t.Errorf("got pin %q, password %q", got.Modem.PIN.Reveal(), got.Modem.Password.Reveal())
	}
	if got.Queue.MaxBytes != 3<<30 || time.Duration(got.Queue.MaxAge) != 90*time.Minute || got.Queue.CommitWait != 0 {
		t.Errorf("got queue %+v", got.Queue)
	}
	if q := got.Queue; time.Duration(q.ReleaseWait) != 50*time.Millisecond || q.Drain != config.DrainLiveFirst || q.HistoryShare != 30 ||
		q.HistoryTopic != "" || got.LossTopic() != "losses" {
		t.Errorf("got queue %+v", q)
	}
	if got.Sources.MQTT.Listen != "" || got.Sources.HTTP.Listen != "" {
		t.Errorf("got sources %+v, want both off", got.Sources)
	}
	wantEndpoints := []config.Endpoint{{TLS: true, Host: "a.example", Port: 8883}, {Host: "::1", Port: 1999}}
	if diff := cmp.Diff(wantEndpoints, got.Broker.Endpoints()); diff != "" {
		t.Errorf("endpoints (-want +got)\n%s", diff)
	}
}

func TestSizesAndDurationsReadAsWritten(t *testing.T) {
	for _, text := range []string{"0", "1", "1023", "1KiB", "64MiB", "3GiB", "1000"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s.String() != text {
			t.Errorf("size %q: got %q, %v", text, s, err)
		}
	}
	for _, text := range []string{"0s", "20ms", "1m", "1m30s", "720h", "1h30m", "1h0m1s"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != text {
			t.Errorf("duration %q: got %q, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "-1", "1.5MiB", "99999999999GiB", "9223372036854775808", "x"} {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q: got %v, want an error", text, s)
		}
	}
}

func TestExamples(t *testing.T) {
	dir := "../../configs"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	parsed := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".yaml" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse(e.Name(), data, []string{"CREDENTIALS_DIRECTORY=/run/credentials/fieldpost.service"}); err != nil {
			t.Error(err)
		}
		parsed++
	}
	if parsed == 0 {
		t.Error("no example found")
	}
}

func TestInitIsTheExampleAndShowsTheDefaults(t *testing.T) {
	file, err := os.ReadFile("../../configs/fieldpost.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, config.Init()) {
		t.Error("configs/fieldpost.yaml and agent/config/fieldpost.yaml differ: copy one over the other")
	}
	if diff := cmp.Diff(parse(t, minimalAsInExample), parse(t, string(config.Init()))); diff != "" {
		t.Errorf("the example doesn't show the defaults (-default +example)\n%s", diff)
	}
	// Each key that can be shown is explained in the example.
	for line := range strings.Lines(string(parse(t, minimal).Show())) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !strings.Contains(string(config.Init()), name+":") {
			t.Errorf("the example doesn't mention %q", name)
		}
	}
}

const minimalAsInExample = `{device: pump-07, modem: {apn: CMNET}, broker: {url: "mqtt://broker.example:1883"}}`

func TestShowCanBeReadAgain(t *testing.T) {
	text := minimal + "queue: {max_age: 36h}\nweb: {listen: off}\n"
	want := parse(t, text)
	want.Broker.URL = append(want.Broker.URL, "mqtts://second.example:1")
	got := parse(t, string(want.Show()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestShownTextsAreReadAsTheyWere: whatever a text looks like to YAML, it stays a text.
func TestShownTextsAreReadAsTheyWere(t *testing.T) {
	texts := []string{"", "off", "~", "null", "007", "1e3", "0x1f", "12:30", "a: b", "a #b", "- a", "[a]", "'", `"`, `\`, "é", "10h", "1.5", "a,b", "{x}", "*a", "&a", "!a", "%", "@", "`", "<&>", " a "}
	check := func(text string) error {
		want := parse(t, minimal+"sources: {exec: [{name: a, command: [/bin/x], interval: 1m}]}\n")
		want.Broker.Username = text
		want.Sources.Exec[0].Command = config.Args{"/bin/x", text}
		got, err := config.Parse("shown.yaml", want.Show(), nil)
		if err != nil {
			return err
		}
		if got.Broker.Username != text || !slices.Equal(got.Sources.Exec[0].Command, want.Sources.Exec[0].Command) {
			return fmt.Errorf("%q became %q and %q", text, got.Broker.Username, got.Sources.Exec[0].Command)
		}
		return nil
	}
	for _, text := range texts {
		if err := check(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`[ -~äß€]{0,12}`).Draw(r, "text")
		if strings.Contains(text, "${") {
			return // stands for a variable
		}
		if err := check(text); err != nil {
			r.Errorf("%q: %v", text, err)
		}
	})
}

func TestOtherDefaults(t *testing.T) {
	c := parse(t, minimal)
	if got, want := c.MQTTClientID(), "pump-07"; got != want {
		t.Errorf("got client id %q, want %q", got, want)
	}
	if got, want := c.ControlSocket(), "/var/lib/fieldpost/control.sock"; got != want {
		t.Errorf("got control socket %q, want %q", got, want)
	}
	if got, want := c.LossTopic(), "pump-07/fieldpost/loss"; got != want {
		t.Errorf("got loss topic %q, want %q", got, want)
	}
	c = parse(t, minimal+"control: {socket: /run/x.sock}\n", "FIELDPOST_BROKER_CLIENT_ID=other")
	if got, want := c.MQTTClientID()+" "+c.ControlSocket(), "other /run/x.sock"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValidateWithoutAFile(t *testing.T) {
	c := config.Default()
	c.Device, c.Modem.Port = "demo", config.SimPort
	c.Broker.URL = config.List{"mqtt://127.0.0.1:1"}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Broker.QoS = 3
	got := problems(t, c.Validate())
	if len(got) != 1 || got[0].Key != "broker.qos" || got[0].Line != 0 {
		t.Errorf("got %+v, want one problem with broker.qos", got)
	}
}

// In YAML a colon without a blank after it is part of the value, also within braces and brackets.
func TestAddressesNeedNoQuotes(t *testing.T) {
	for _, text := range []string{
		"broker: {url: [mqtt://a.example:1883, mqtts://b.example:8883]}",
		"broker: {url: [\"mqtt://a.example:1883\", mqtts://b.example:8883], qos: 1}",
		"broker: {qos: 1, url: [mqtt://a.example:1883,\n  mqtts://b.example:8883]}",
		"broker:\n  url: [mqtt://a.example:1883, mqtts://b.example:8883]",
	} {
		got := parse(t, "device: d\nmodem: {apn: a}\n"+text+"\n").Broker.URL
		if diff := cmp.Diff(config.List{"mqtt://a.example:1883", "mqtts://b.example:8883"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	got := parse(t, "device: d\nmodem: {apn: a}\nbroker: {url: mqtt://b.example}\nsources: {exec: [{name: a, interval: 1m, command: [/bin/x, tcp://h:1]}]}\n").Sources.Exec[0].Command
	if diff := cmp.Diff(config.Args{"/bin/x", "tcp://h:1"}, got); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
}
