package config_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/config"
)

// uncommented returns the example with the samples of its sources in force.
func uncommented() string {
	sample := regexp.MustCompile(`(?m)^  #([a-z]+:|  +-? *[a-z_]+:)`)
	text := string(config.Init())
	_, _, found := strings.Cut(text, "  #exec:")
	if !found {
		return ""
	}
	head, tail, _ := strings.Cut(text, "  #exec:")
	return head + sample.ReplaceAllString("  #exec:"+tail, "  $1")
}

// What the example shows in comments is valid, and shows every key that a source can have.
func TestSamplesOfSources(t *testing.T) {
	text := uncommented()
	c := parse(t, text)
	s := c.Sources
	if len(s.Exec) != 1 || len(s.Serial) != 4 || len(s.Sysfs) != 2 || len(s.Modbus) != 1 || len(s.Tail) != 1 {
		t.Fatalf("got %+v, want the samples", s)
	}
	for _, source := range []any{s.Exec[0], s.Serial[0], s.Sysfs[0], s.Modbus[0], s.Modbus[0].Registers[0], s.Tail[0]} {
		for _, name := range keyNames(reflect.TypeOf(source)) {
			if !strings.Contains(text, name+":") {
				t.Errorf("the example doesn't mention %q of a %T", name, source)
			}
		}
	}
	if got := parse(t, string(c.Show())); !cmp.Equal(c, got) {
		t.Errorf("shown and read again: (-want +got)\n%s", cmp.Diff(c, got))
	}
}

func keyNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if option == "inline" {
			names = append(names, keyNames(t.Field(i).Type)...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

func TestSourcesHaveDefaults(t *testing.T) {
	c := parse(t, `device: d
link: system
broker: {url: "mqtt://b.example", qos: 2}
sources:
  exec:
    - name: a
      command: /bin/echo 1 2
    - {name: b, command: [/bin/sh, -c, "echo 1,2"], interval: 5s, qos: 0, change: true, deadband: 0.5}
`)
	want := []config.ExecSource{
		{
			Reading: config.Reading{Name: "a", Topic: "{device}/{source}", Lane: "normal", QoS: 2, Payload: "value", MaxSilence: config.Duration(time.Hour)},
			Command: config.Args{"/bin/echo", "1", "2"}, MaxRate: 100, Lines: config.Lines{Format: "line", Separator: ",", Precision: "ns"},
		},
		{
			Reading: config.Reading{Name: "b", Topic: "{device}/{source}", Lane: "normal", Payload: "value", MaxSilence: config.Duration(time.Hour), Change: true, Deadband: 0.5},
			Command: config.Args{"/bin/sh", "-c", "echo 1,2"}, Interval: config.Duration(5 * time.Second), MaxRate: 100,
			Lines: config.Lines{Format: "line", Separator: ",", Precision: "ns"},
		},
	}
	if diff := cmp.Diff(want, c.Sources.Exec); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSourceOverriddenByVariable(t *testing.T) {
	text := "device: d\nlink: system\nbroker: {url: \"mqtt://b.example\"}\nsources: {exec: [{name: a, command: /x}]}\n"
	c := parse(t, text, "FIELDPOST_SOURCES_EXEC_0_INTERVAL=7s")
	if got, want := c.Sources.Exec[0].Interval, config.Duration(7*time.Second); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Mistakes in a list are told with their place, like all others.
func TestReportsAboutSources(t *testing.T) {
	const rest = "device: d\nlink: system\nbroker: {url: mqtt://b.example}\nsources:\n"
	for _, c := range []struct{ name, file, want string }{
		{"misspelt", "  exec:\n    - name: a\n      comand: /x\n      command: /x\n", `
test.yaml:7:7: unknown key "comand" in section "sources.exec[0]"
    7 |       comand: /x
      |       ^
      = did you mean "command"?`},
		{"misspelt in a register", "  modbus:\n    - name: a\n      url: tcp://m.example\n      registers:\n        - field: x\n        - {field: y, adress: 1}\n", `
test.yaml:10:22: unknown key "adress" in section "sources.modbus[0].registers[1]"
   10 |         - {field: y, adress: 1}
      |                      ^
      = did you mean "address"?`},
		{"missing", "  tail:\n    - name: ok\n      path: /var/log/x\n    - path: /var/log/x\n", `
test.yaml:8:7: sources.tail[1].name: is missing: give the source a name, such as "name: tank"
    8 |     - path: /var/log/x
      |       ^`},
		{"no list", "  exec:\n    name: a\n", `
test.yaml:6:9: sources.exec: is a list, not a section with keys
    6 |     name: a
      |         ^
      = begin each of its elements with a dash: - name: tank`},
		{"no number", "  tail: [{name: a, path: /x, deadband: much}]\n", `
test.yaml:5:40: sources.tail[0].deadband: "much" is not a number
    5 |   tail: [{name: a, path: /x, deadband: much}]
      |                                        ^`},
		{"neither true nor false", "  tail: [{name: a, path: /x, change: maybe}]\n", `
test.yaml:5:38: sources.tail[0].change: "maybe" is neither true nor false
    5 |   tail: [{name: a, path: /x, change: maybe}]
      |                                      ^`},
		{"name in a topic", "  sysfs: [{name: a, kind: w1, topic: \"{devise}/x\"}]\n", `
test.yaml:5:38: sources.sysfs[0].topic: nothing stands for {devise}
    5 |   sysfs: [{name: a, kind: w1, topic: "{devise}/x"}]
      |                                      ^
      = did you mean {device}?`},
		{"pattern", "  tail: [{name: a, path: /x, format: regex, pattern: '('}]\n", "\ntest.yaml:5:54: sources.tail[0].pattern: the pattern is no regular expression: error parsing regexp: missing closing ): `(`\n    5 |   tail: [{name: a, path: /x, format: regex, pattern: '('}]\n      |                                                      ^"},
	} {
		_, err := config.Parse("test.yaml", []byte(rest+c.file), nil)
		if got := errorText(err); got != strings.TrimPrefix(c.want, "\n") {
			t.Errorf("%s: got\n%s\nwant%s", c.name, got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return strings.TrimPrefix(err.Error(), "config: ")
}

func TestSourcesThatMakeNoSense(t *testing.T) {
	const head = "device: d\nlink: modem\nmodem: {port: /dev/m, apn: a}\nbroker: {url: mqtt://b.example}\nsources: {"
	const meter = "name: m, registers: [{field: v}], url: "
	for source, want := range map[string]string{
		"exec: [{name: a/b, command: /x}]":                                                             `sources.exec[0].name: "a/b": use at most`,
		"exec: [{name: a, command: /x}], tail: [{name: a, path: /x}]":                                  `sources.tail[0].name: "a" is the name of sources.exec[0]`,
		"exec: [{name: a}]":                                                                            "sources.exec[0].command: is missing",
		"exec: [{name: a, command: x}]":                                                                "no absolute path",
		"exec: [{name: a, command: /x, interval: 10ms}]":                                               "sources.exec[0].interval: 10ms is out of range",
		"exec: [{name: a, command: /x, timeout: -1s}]":                                                 "sources.exec[0].timeout",
		"exec: [{name: a, command: /x, max_rate: 0}]":                                                  "sources.exec[0].max_rate",
		"exec: [{name: a, command: /x, qos: 3}]":                                                       "sources.exec[0].qos",
		"exec: [{name: a, command: /x, lane: fast}]":                                                   "sources.exec[0].lane",
		"exec: [{name: a, command: /x, payload: xml}]":                                                 "sources.exec[0].payload",
		"exec: [{name: a, command: /x, deadband: -1}]":                                                 "sources.exec[0].deadband",
		"exec: [{name: a, command: /x, max_silence: -1s}]":                                             "sources.exec[0].max_silence",
		"exec: [{name: a, command: /x, topic: \"{tag.x}\"}]":                                           "nothing stands for {tag.x}",
		"exec: [{name: a, command: /x, topic: \"a/{\"}]":                                               "without its other half",
		"exec: [{name: a, command: /x, topic: \"a/#\"}]":                                               "wildcard",
		"exec: [{name: a, command: /x, topic: \"$SYS/a\"}]":                                            "reserved for brokers",
		"exec: [{name: a, command: /x, topic: \"\"}]":                                                  "sources.exec[0].topic: is empty",
		"exec: [{name: a, command: /x, format: xml}]":                                                  `"xml" is not one of line, regex`,
		"exec: [{name: a, command: /x, format: csv}]":                                                  "sources.exec[0].columns",
		"exec: [{name: a, command: /x, format: influx, precision: h}]":                                 "sources.exec[0].precision",
		"exec: [{name: a, command: /x, pattern: x}]":                                                   "sources.exec[0].pattern: has a meaning with format: regex only",
		"serial: [{name: a}]":                                                                          "sources.serial[0].port: is missing",
		"serial: [{name: a, port: /dev/x, baud: 1234}]":                                                "sources.serial[0].baud",
		"serial: [{name: a, port: /dev/x, mode: 8X1}]":                                                 "sources.serial[0].mode",
		"serial: [{name: a, port: /dev/m}]":                                                            "/dev/m is used by modem.port",
		"serial: [{name: a, port: /dev/x}, {name: b, port: /dev/x}]":                                   "sources.serial[1].port: /dev/x is used by sources.serial[0].port",
		"sysfs: [{name: a}]":                                                                           "sources.sysfs[0].kind",
		"sysfs: [{name: a, kind: file}]":                                                               "sources.sysfs[0].path: is missing",
		"sysfs: [{name: a, kind: w1, path: x}]":                                                        "no absolute path",
		"sysfs: [{name: a, kind: w1, match: [\"[\"]}]":                                                 "sources.sysfs[0].match",
		"sysfs: [{name: a, kind: w1, scale: 2}]":                                                       "kind: file only",
		"sysfs: [{name: a, kind: file, path: /x, scale: 0}]":                                           "sources.sysfs[0].scale: is 0",
		"tail: [{name: a, path: x}]":                                                                   "sources.tail[0].path",
		"tail: [{name: a, path: /x, from: middle}]":                                                    "sources.tail[0].from",
		"modbus: [{" + meter + "x}]":                                                                   "sources.modbus[0].url",
		"modbus: [{" + meter + "\"tcp://\"}]":                                                          "sources.modbus[0].url",
		"modbus: [{" + meter + "\"tcp://a:99999\"}]":                                                   "sources.modbus[0].url",
		"modbus: [{" + meter + "\"tcp://u:p@a\"}]":                                                     "sources.modbus[0].url",
		"modbus: [{" + meter + "\"rtu://dev/x\"}]":                                                     "sources.modbus[0].url",
		"modbus: [{" + meter + "\"rtu:///dev/m\"}]":                                                    "used by modem.port",
		"modbus: [{" + meter + "\"rtu:///dev/x\", unit: 0}]":                                           "sources.modbus[0].unit",
		"modbus: [{" + meter + "\"rtu:///dev/x\", timeout: 1h}]":                                       "sources.modbus[0].timeout",
		"modbus: [{name: m, url: \"tcp://a\"}]":                                                        "sources.modbus[0].registers: has 0 elements",
		"modbus: [{name: m, url: \"tcp://a\", registers: [{}]}]":                                       "sources.modbus[0].registers[0].field",
		"modbus: [{name: m, url: \"tcp://a\", registers: [{field: a}, {field: a}]}]":                   "is the name of another register",
		"modbus: [{name: m, url: \"tcp://a\", registers: [{field: a, table: coils}]}]":                 `did you mean "coil"?`,
		"modbus: [{name: m, url: \"tcp://a\", registers: [{field: a, table: coil}]}]":                  "a coil is a bool",
		"modbus: [{name: m, url: \"tcp://a\", registers: [{field: a, type: uint64, address: 65533}]}]": "beyond the last",
		"modbus: [{name: m, url: \"tcp://a\", registers: [{field: a, address: 70000}]}]":               "registers[0].address",
		"modbus: [{name: m, url: \"tcp://a\", registers: [{field: a, scale: 0}]}]":                     "registers[0].scale",
		"modbus: [{" + meter + "\"rtu:///dev/x\"}, {name: n, registers: [{field: v}], url: \"rtu:///dev/x\", baud: 19200}]": "sources.modbus[1].baud: 19200 8N1 is not that of",
		"http: {influx_topic: \"{source}\"}": "sources.http.influx_topic: nothing stands for {source}",
		"http: {influx_payload: x}":          "sources.http.influx_payload",
	} {
		_, err := config.Parse("test.yaml", []byte(head+source+"}\n"), nil)
		if got := errorText(err); !strings.Contains(got, want) || !strings.Contains(got, "test.yaml:5:") {
			t.Errorf("%s: got\n%s\nwant %q", source, got, want)
		}
	}
	if _, err := config.Parse("test.yaml", []byte(head+"modbus: [{"+meter+"\"rtu:///dev/x\"}, {name: n, registers: [{field: v}], url: \"rtu:///dev/x\", unit: 2}]}\n"), nil); err != nil {
		t.Errorf("two devices on one line: %v", err)
	}
}

// What the docs show of sources can be copied into a file.
func TestSourcesInDocs(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	found := 0
	for _, page := range []string{"../../docs/sources.md", "../../examples/README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, err := config.Parse(page, []byte(minimal+m[1]), nil); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 2 {
		t.Errorf("only %d pieces of YAML were found", found)
	}
}
