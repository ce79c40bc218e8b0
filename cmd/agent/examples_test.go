package main

import (
	bigendian "encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/goccy/go-yaml"

	"github.com/fieldpost/fieldpost/agent/config"
)

const exampleDir = "../../examples"

func example(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(exampleDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestExamplesAreListed(t *testing.T) {
	list, err := os.ReadDir(exampleDir)
	if err != nil {
		t.Fatal(err)
	}
	readme := string(example(t, "README.md"))
	for _, e := range list {
		if e.Name() != "README.md" && !strings.Contains(readme, "]("+e.Name()) {
			t.Errorf("examples/README.md doesn't mention %s", e.Name())
		}
		if filepath.Ext(e.Name()) == ".yaml" && e.Name() != "esphome.yaml" {
			if _, err := config.Parse(e.Name(), example(t, e.Name()), nil); err != nil {
				t.Error(err)
			}
		}
	}
}

// exampleSite is an agent that takes readings in; its broker is unreachable, so that they stay in the queue.
func exampleSite(t *testing.T) site {
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	fieldpost(t, "agent", "run", "--config", s.conf).waitFor("started", 20*time.Second)
	for _, address := range []string{s.mqtt, s.http} {
		eventually(t, address+" listens", 20*time.Second, func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return s
}

// queued returns the topics and payloads in the queue.
func queued(t *testing.T, s site) map[string]string {
	t.Helper()
	out, _, _ := call(t, "queue", "export", "--config", s.conf)
	found := make(map[string]string)
	for line := range strings.Lines(out) {
		var m struct {
			Topic   string `json:"topic"`
			Payload string `json:"payload_text"`
		}
		if err := json.Unmarshal([]byte(line), &m); err == nil && m.Topic != "" {
			found[m.Topic] = m.Payload
		}
	}
	return found
}

// publishAs publishes to the agent as a client of the example would.
func publishAs(t *testing.T, s site, clientID, topic string, qos byte, payload string) {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.mqtt).SetClientID(clientID).SetProtocolVersion(4).SetAutoReconnect(false))
	mustToken(t, clientID+" connects", client.Connect())
	defer client.Disconnect(100)
	mustToken(t, clientID+" publishes", client.Publish(topic, qos, false, payload))
}

// toml reads the part of TOML that the example uses, whose values are written as in JSON: section → key → value.
func toml(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	sections, section := map[string]map[string]any{}, ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		key, value, isPair := strings.Cut(line, " = ")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			if sections[section] != nil || !regexp.MustCompile(`^\[[a-z]+\]$|^\[\[[a-z]+\.[a-z_]+\]\]$`).MatchString(line) {
				t.Errorf("line %d: %s", i+1, line)
			}
			sections[section] = map[string]any{}
		case isPair && section != "":
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				t.Errorf("line %d: %v", i+1, err)
			}
			sections[section][key] = v
		default:
			t.Errorf("line %d is neither a section nor a setting: %s", i+1, line)
		}
	}
	return sections
}

func TestExampleTelegraf(t *testing.T) {
	t.Parallel()
	text := string(example(t, "telegraf.conf"))
	conf := toml(t, text)
	out := conf["outputs.mqtt"]
	servers, _ := out["servers"].([]any)
	if len(servers) != 1 || servers[0] != "tcp://"+config.Default().Sources.MQTT.Listen || out["protocol"] != "3.1.1" || out["qos"] != 1.0 || out["data_format"] != "influx" {
		t.Errorf("got outputs.mqtt %v, want the agent's listener, MQTT 3.1.1, QoS 1 and influx lines", out)
	}
	if len(conf) < 4 {
		t.Errorf("got %d sections", len(conf))
	}
	s := exampleSite(t)
	topic := strings.ReplaceAll(out["topic"].(string), "{{ .PluginName }}", "disk")
	const metric = "disk,host=pump-07,path=/ used_percent=41.5 1700000000000000000\n"
	publishAs(t, s, out["client_id"].(string), topic, 1, metric)

	// What is commented out, too.
	_, other, _ := strings.Cut(text, "# [[outputs.http]]")
	conf = toml(t, "[[outputs.http]]"+strings.ReplaceAll(other, "\n# ", "\n"))
	post := conf["outputs.http"]
	url := strings.Replace(post["url"].(string), config.Default().Sources.HTTP.Listen, s.http, 1)
	resp, err := http.Post(url, "text/plain; charset=utf-8", strings.NewReader(metric))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := queued(t, s); resp.StatusCode != 202 || got[topic] != metric || got["pump-07/disk"] != `{"used_percent":41.5}` {
		t.Errorf("got %s and queue %q", resp.Status, got)
	}
}

func TestExampleNodeRED(t *testing.T) {
	t.Parallel()
	var flow []struct {
		ID, Type, Z, Broker, Port, Topic, QoS, ClientID, ProtocolVersion string
		Wires                                                            [][]string
	}
	if err := json.Unmarshal(example(t, "node-red-flow.json"), &flow); err != nil {
		t.Fatal(err)
	}
	types := map[string]string{} // by id
	for _, n := range flow {
		if n.ID == "" || n.Type == "" || types[n.ID] != "" {
			t.Errorf("node %+v has no id of its own or no type", n)
		}
		types[n.ID] = n.Type
	}
	s := exampleSite(t)
	clientID, published := "", 0
	for _, n := range flow {
		for _, to := range slices.Concat(n.Wires...) {
			if types[to] == "" {
				t.Errorf("a wire of %s leads to %s, which isn't there", n.ID, to)
			}
		}
		switch n.Type {
		case "tab":
		case "mqtt-broker":
			if got := net.JoinHostPort(n.Broker, n.Port); got != config.Default().Sources.MQTT.Listen || n.ProtocolVersion != "4" {
				t.Errorf("the broker is %s with version %s, want the agent with MQTT 3.1.1", got, n.ProtocolVersion)
			}
			clientID = n.ClientID
		case "mqtt out":
			if types[n.Broker] != "mqtt-broker" || n.QoS != "1" {
				t.Errorf("got %+v, want the broker of the flow and QoS 1", n)
			}
			publishAs(t, s, clientID, n.Topic, 1, "41.5")
			if got := queued(t, s); got[n.Topic] != "41.5" {
				t.Errorf("got queue %q", got)
			}
			published++
			fallthrough
		default:
			if types[n.Z] != "tab" {
				t.Errorf("node %s is on no tab", n.ID)
			}
		}
	}
	if published != 1 {
		t.Errorf("%d nodes publish, want 1", published)
	}
}

func TestExampleESPHome(t *testing.T) {
	t.Parallel()
	type message struct{ Topic, Payload string }
	var conf struct {
		ESPHome struct{ Name string }
		MQTT    struct {
			Broker, Username string
			Port             int
			ClientID         string   `yaml:"client_id"`
			TopicPrefix      string   `yaml:"topic_prefix"`
			Discovery        *bool    `yaml:"discovery"`
			Birth            *message `yaml:"birth_message"`
			Will             *message `yaml:"will_message"`
		}
		Sensor []struct {
			Platform, Name string
			StateTopic     string `yaml:"state_topic"`
			QoS            byte   `yaml:"qos"`
		}
	}
	text := strings.ReplaceAll(string(example(t, "esphome.yaml")), "!secret ", "") // a tag of ESPHome's own
	if err := yaml.Unmarshal([]byte(text), &conf); err != nil {
		t.Fatal(err)
	}
	m := conf.MQTT
	if m.Port != 1884 || m.Discovery == nil || *m.Discovery || m.Username == "" || m.ClientID == "" || len(conf.Sensor) == 0 || m.Birth == nil || m.Will == nil {
		t.Fatalf("got %+v, want the agent's port, a login and no discovery", conf)
	}
	s := exampleSite(t)
	if m.Will.Topic != m.Birth.Topic || m.Will.Payload == m.Birth.Payload {
		t.Errorf("the will is %+v and the birth %+v, want two states of one topic", *m.Will, *m.Birth)
	}
	topics := map[string]string{m.Birth.Topic: m.Birth.Payload}
	for _, sensor := range conf.Sensor {
		topics[sensor.StateTopic] = "1.25"
		if sensor.QoS != 1 {
			t.Errorf("%s is published at QoS %d, want 1", sensor.Name, sensor.QoS)
		}
	}
	for topic, payload := range topics {
		if !strings.HasPrefix(topic, m.TopicPrefix+"/") {
			t.Errorf("topic %q is not below %s, which its user may publish to", topic, m.TopicPrefix)
		}
		publishAs(t, s, m.ClientID, topic, 1, payload)
	}
	got := queued(t, s)
	for topic, want := range topics {
		if got[topic] != want {
			t.Errorf("%s: got %q in the queue, want %q", topic, got[topic], want)
		}
	}
}

// meterConfig is the configuration of the Modbus example.
func meterConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg, err := config.Parse("modbus-meter.yaml", example(t, "modbus-meter.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestExampleHomeAssistant(t *testing.T) {
	t.Parallel()
	s := exampleSite(t)
	lines := example(t, "home-assistant.jsonl")
	resp, err := http.Post("http://"+s.http+"/v1/messages", "application/x-ndjson", strings.NewReader(string(lines)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := queued(t, s)
	cfg := meterConfig(t)
	meter := cfg.Sources.Modbus[0]
	if resp.StatusCode != 202 || len(got) != len(meter.Registers) {
		t.Fatalf("got %s and %d messages, want one for each of the %d registers of the meter", resp.Status, len(got), len(meter.Registers))
	}
	ids := map[string]bool{}
	for _, r := range meter.Registers {
		topic := "homeassistant/sensor/" + cfg.Device + "/" + r.Field + "/config"
		var d struct {
			Name, Unit    string
			UniqueID      string `json:"unique_id"`
			StateTopic    string `json:"state_topic"`
			ValueTemplate string `json:"value_template"`
			DeviceClass   string `json:"device_class"`
			StateClass    string `json:"state_class"`
			UnitOf        string `json:"unit_of_measurement"`
			ExpireAfter   int    `json:"expire_after"`
			Device        struct{ Identifiers []string }
		}
		if err := json.Unmarshal([]byte(got[topic]), &d); err != nil {
			t.Errorf("%s: %v", topic, err)
			continue
		}
		units := map[string]string{"voltage": "V", "current": "A", "power": "W", "energy": "kWh"}
		if d.Name == "" || d.UniqueID == "" || ids[d.UniqueID] || len(d.Device.Identifiers) == 0 || d.UnitOf == "" || d.UnitOf != units[d.DeviceClass] ||
			!slices.Contains([]string{"measurement", "total", "total_increasing"}, d.StateClass) {
			t.Errorf("%s: got %+v", topic, d)
		}
		ids[d.UniqueID] = true
		if want := cfg.Device + "/" + meter.Name; d.StateTopic != want || d.ValueTemplate != "{{ value_json."+r.Field+" }}" {
			t.Errorf("%s: reads %s of %s, want %s of %s", topic, d.ValueTemplate, d.StateTopic, r.Field, want)
		}
		if least := 3 * time.Duration(meter.Interval); time.Duration(d.ExpireAfter)*time.Second < least {
			t.Errorf("%s: expires after %d s, want at least %v", topic, d.ExpireAfter, least)
		}
	}
}

// runExample starts the agent with the example's own file; what the test's machine has not is set by variables.
func runExample(t *testing.T, name string, variables map[string]string) site {
	t.Helper()
	s := site{conf: filepath.Join(exampleDir, name), data: t.TempDir(), http: freePort(t)}
	for key, value := range variables {
		t.Setenv("FIELDPOST_"+key, value)
	}
	t.Setenv("FIELDPOST_DATA_DIR", s.data)
	t.Setenv("FIELDPOST_LINK", config.LinkSystem)
	t.Setenv("FIELDPOST_BROKER_URL", "mqtt://127.0.0.1:1")
	t.Setenv("FIELDPOST_SOURCES_MQTT_LISTEN", "off")
	t.Setenv("FIELDPOST_SOURCES_HTTP_LISTEN", s.http)
	t.Setenv("FIELDPOST_WEB_LISTEN", "off")
	fieldpost(t, name, "run", "--config", s.conf).waitFor("started", 20*time.Second)
	return s
}

func TestExampleShellSensor(t *testing.T) {
	script, err := filepath.Abs(filepath.Join(exampleDir, "shell-sensor.sh"))
	if err != nil {
		t.Fatal(err)
	}
	s := runExample(t, "shell-sensor.yaml", map[string]string{"SOURCES_EXEC_0_COMMAND": script + " /"})
	percent := regexp.MustCompile(`^\d{1,3}$`)
	eventually(t, "the reading", 20*time.Second, func() bool { return percent.MatchString(queued(t, s)["pump-07/disk"]) })

	s = runExample(t, "shell-sensor.yaml", map[string]string{"SOURCES_EXEC_0_COMMAND": script + " /does/not/exist"})
	eventually(t, "its failure in the status", 20*time.Second, func() bool {
		out, _, _ := call(t, "status", "--json", "--config", s.conf)
		return strings.Contains(out, "df says nothing about /does/not/exist")
	})
}

func TestExampleModbusMeter(t *testing.T) {
	s := runExample(t, "modbus-meter.yaml", map[string]string{"SOURCES_MODBUS_0_URL": "tcp://" + fakeMeter(t)})
	const want = `{"voltage":0.5,"current":3.5,"power":26.5,"imported":36.5}`
	eventually(t, "the reading", 20*time.Second, func() bool { return queued(t, s)["meter-12/energy"] == want })
}

// fakeMeter answers to Modbus over TCP. Its input registers hold 32-bit floats: half of their address, and a half.
func fakeMeter(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() { // ends with the listener
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go answerAsMeter(c) // ends with the agent
		}
	}()
	return ln.Addr().String()
}

func answerAsMeter(c net.Conn) {
	defer c.Close()
	for request := make([]byte, 12); ; {
		if _, err := io.ReadFull(c, request); err != nil || request[7] != 4 {
			return
		}
		address, count := bigendian.BigEndian.Uint16(request[8:]), bigendian.BigEndian.Uint16(request[10:])
		answer := append(slices.Clone(request[:8]), byte(2*count))
		for a := address; a < address+count; a++ {
			bits := math.Float32bits(float32(a/2) + 0.5)
			answer = bigendian.BigEndian.AppendUint16(answer, uint16(bits>>(16*(1-a%2))))
		}
		bigendian.BigEndian.PutUint16(answer[4:], uint16(len(answer)-6))
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}
