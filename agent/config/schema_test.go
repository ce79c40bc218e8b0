package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fieldpost/fieldpost/agent/config"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is a YAML file as an editor hands it to a schema.
func instance(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// allOn takes away the # before what can be switched on in the commented configuration.
func allOn(text string) string {
	begin := strings.Index(text, "  #exec:")
	end := strings.Index(text, "\nweb:")
	return text[:begin] + regexp.MustCompile(`(?m)^  #`).ReplaceAllString(text[begin:end], "  ") + text[end:]
}

func TestSchemaTakesEveryFile(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("got %v, %v", files, err)
	}
	texts := map[string]string{"what config init writes": string(config.Init()), "all of it switched on": allOn(string(config.Init())),
		"empty": "{}", "the defaults": string(config.Default().Show())}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	for name, text := range map[string]string{
		"scalars as written": "device: 7\nmodem: {pin: \"${PIN}\", apn: , user: true}\nqueue: {max_bytes: 1048576, commit_wait: 0, max_age: 1h30m}\n",
		"variables":          "broker: {qos: \"${QOS}\", url: [\"mqtt://a.example\", \"${B}\"]}\nqueue: {max_bytes: \"${ROOM}\", full: \"${FULL}\"}\n",
		"headings alone":     "modem:\nbroker:\nsources:\n  mqtt:\n  exec:\n",
	} {
		texts[name] = text
	}
	for name, text := range texts {
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaRefuses what config check refuses, as far as one key tells it.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for _, text := range []string{
		"devcie: a\n", "modem: {prot: /dev/x}\n", "modem: sim\n", "[]\n", "link: modm\n", "modem: {baud: 1200}\n", "modem: {baud: fast}\n",
		"broker: {qos: 3}\n", "broker: {qos: -1}\n", "broker: {qos: 1.5}\n", "broker: {password: secret}\n", "broker: {keepalive: often}\n",
		"queue: {max_bytes: much}\n", "queue: {max_bytes: -1}\n", "queue: {max_age: 30d}\n", "queue: {max_age: 5}\n", "queue: {full: drop}\n",
		"queue: {history_share: 100}\n", "sources: {mqtt: {max_clients: 0}}\n", "sources: {exec: {name: a}}\n", "sources: {exec: [{nmae: a}]}\n",
		"sources: {modbus: [{registers: [{type: int12}]}]}\n", "sources: {sysfs: [{kind: usb}]}\n", "sources: {exec: [{change: perhaps}]}\n",
		"log: {level: loud}\n", "web: {token: abc}\n",
	} {
		if err := s.Validate(instance(t, text)); err == nil {
			t.Errorf("the schema takes %q", text)
		}
		if _, err := config.Parse("test.yaml", []byte(text), nil); err == nil {
			t.Errorf("config check takes %q: it is no example of a mistake", text)
		}
	}
}

// TestEveryKeyIsDescribed: what the commented configuration doesn't explain, nobody explains.
func TestEveryKeyIsDescribed(t *testing.T) {
	keys := config.Keys()
	if len(keys) < 60 {
		t.Fatalf("got %d keys", len(keys))
	}
	for _, k := range keys {
		if k.Description == "" {
			t.Errorf("%s has no comment in agent/config/fieldpost.yaml", k.Path)
		}
	}
}

// TestKeysSayWhatIsSo checks one key of each kind against what its package says.
func TestKeysSayWhatIsSo(t *testing.T) {
	got := make(map[string]config.Key)
	for _, k := range config.Keys() {
		got[k.Path] = k
	}
	for path, want := range map[string]config.Key{
		"link":                   {Type: config.TypeText, Default: "modem", Allowed: []string{"modem", "system"}},
		"broker.qos":             {Type: config.TypeInteger, Default: "1", Least: "0", Most: "2"},
		"queue.release_wait":     {Type: config.TypeDuration, Default: "1s", Least: "10ms", Most: "1m"},
		"limits.max_payload":     {Type: config.TypeSize, Default: "64KiB", Least: "1", Most: "512KiB"},
		"sources.exec[].command": {Type: config.TypeArgs},
		"sources.exec[].change":  {Type: config.TypeBool, Default: "false"},
		"broker.password":        {Type: config.TypeSecret},
	} {
		k := got[path]
		if k.Type != want.Type || k.Default != want.Default || strings.Join(k.Allowed, " ") != strings.Join(want.Allowed, " ") || k.Least != want.Least || k.Most != want.Most {
			t.Errorf("%s: got %+v, want %+v", path, k, want)
		}
	}
}
