package config_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/config"
)

// Each case is a whole file with one mistake, and the report about it without
// the prefix "config: ".
func TestReport(t *testing.T) {
	const rest = "device: d\nmodem: {apn: a}\nbroker: {url: mqtt://b.example}\n"
	for _, c := range []struct{ name, file, want string }{
		{"unknown key with a near one", rest + "queue:\n  max_byte: 1MiB\n", `
test.yaml:5:3: unknown key "max_byte" in section "queue"
    5 |   max_byte: 1MiB
      |   ^
      = did you mean "max_bytes"?`},
		{"letters swapped", rest + "brokre: {}\n", `
test.yaml:4:1: unknown key "brokre"
    4 | brokre: {}
      | ^
      = did you mean "broker"?`},
		{"key of another section", rest + "apn: CMNET\n", `
test.yaml:4:1: unknown key "apn"
    4 | apn: CMNET
      | ^
      = did you mean modem.apn? It stands in another section`},
		{"nothing like it", rest + "log: {frobnicate: 1}\n", `
test.yaml:4:7: unknown key "frobnicate" in section "log"
    4 | log: {frobnicate: 1}
      |       ^
      = known here: level, format`},
		{"a tab keeps the caret in place", rest + "link:\tmodm\n", "\ntest.yaml:4:7: link: \"modm\" is not one of modem, system\n    4 | link:\tmodm\n      |      \t^\n      = did you mean \"modem\"?"},
		{"letters of two bytes count once", "{device: ü, modem: {apn: a}, broker: {url: mqtt://b.example}, link: modm}\n", `
test.yaml:1:10: device: contains 'ü': use letters, digits, '-', '_', '.' and ':', since it becomes part of topics
    1 | {device: ü, modem: {apn: a}, broker: {url: mqtt://b.example}, link: modm}
      |          ^
test.yaml:1:69: link: "modm" is not one of modem, system
    1 | {device: ü, modem: {apn: a}, broker: {url: mqtt://b.example}, link: modm}
      |                                                                     ^
      = did you mean "modem"?`},
		{"duration", rest + "queue: {max_age: 10x}\n", `
test.yaml:4:18: queue.max_age: "10x" is not a duration: write a number and ms, s, m or h, such as 90s or 1h30m
    4 | queue: {max_age: 10x}
      |                  ^`},
		{"days", rest + "queue: {max_age: 30d}\n", `
test.yaml:4:18: queue.max_age: "30d": days are written in hours here: 720h
    4 | queue: {max_age: 30d}
      |                  ^`},
		{"duration without unit", rest + "queue: {max_age: 60}\n", `
test.yaml:4:18: queue.max_age: "60" has no unit: write 60s for seconds, or use ms, m or h
    4 | queue: {max_age: 60}
      |                  ^`},
		{"blank within an address", "device: d\nmodem: {apn: a}\nbroker: {url: [\"mqtt://a\", mqtt://b: 1883]}\n", `
test.yaml:3:15: broker.url: takes a single value, not a section with keys in element 2: put what has a colon, a blank or a brace in it between quotes
    3 | broker: {url: ["mqtt://a", mqtt://b: 1883]}
      |               ^`},
		{"enumeration", rest + "link: modm\n", `
test.yaml:4:7: link: "modm" is not one of modem, system
    4 | link: modm
      |       ^
      = did you mean "modem"?`},
		{"syntax", rest + "log:\n\tlevel: info\n", `
test.yaml:5:2: not valid YAML: a line begins with a tab
    5 | 	level: info
      | 	^
      = indent with spaces, YAML doesn't take tabs`},
		{"several unreadable lines", rest + "log: {level: `x`}\nqueue:\n\tmax_age: 1h\n  full: drop_odlest\nlimits: {max_payload: @1}\n", `
test.yaml:4:14: not valid YAML: '` + "`" + `' is a reserved character
    4 | log: {level: ` + "`x`" + `}
      |              ^
      = put the value between quotes
test.yaml:6:2: not valid YAML: a line begins with a tab
    6 | 	max_age: 1h
      | 	^
      = indent with spaces, YAML doesn't take tabs
test.yaml:7:9: queue.full: "drop_odlest" is not one of drop_oldest, refuse
    7 |   full: drop_odlest
      |         ^
      = did you mean "drop_oldest"?
test.yaml:8:23: not valid YAML: '@' is a reserved character
    8 | limits: {max_payload: @1}
      |                       ^
      = put the value between quotes`},
		{"nothing is missing beside an unreadable line", "device: @a\n", `
test.yaml:1:9: not valid YAML: '@' is a reserved character
    1 | device: @a
      |         ^
      = put the value between quotes`},
		{"twice", rest + "device: e\n", `
test.yaml:4:1: not valid YAML: mapping key "device" already defined at [1:1]
    4 | device: e
      | ^
      = keep one of the two`},
		{"two documents", rest + "---\nlog: {level: debug}\n", `
test.yaml:5:4: a second document
    5 | log: {level: debug}
      |    ^
      = remove the line --- and what doesn't belong here`},
		{"value for a section", rest + "log: debug\n", `
test.yaml:4:6: log: is a section, not a single value
    4 | log: debug
      |      ^
      = its keys are level, format`},
		{"login in the url", "device: d\nmodem: {apn: a}\nbroker: {url: \"mqtt://me:hunter2@b.example\"}\n", `
test.yaml:3:15: broker.url: user and password don't belong in the url: use broker.username and broker.password_file
    3 | broker: {url: "mqtt://********@b.example"}
      |               ^`},
		{"literal secret", rest + "web: {token: hunter2-hunter2-hunter2}\n", `
test.yaml:4:14: web.token: a secret doesn't belong in this file
    4 | web: {token: ********
      |              ^
      = put it into a file of its own and name that in web.token_file, or write ${NAME} and set the variable NAME`},
		{"open listener", rest + "sources: {mqtt: {listen: 0.0.0.0:1884}}\n", `
test.yaml:4:26: sources.mqtt.listen: 0.0.0.0:1884 can be reached from the network, and anybody could connect
    4 | sources: {mqtt: {listen: 0.0.0.0:1884}}
      |                          ^
      = set sources.mqtt.users_file, or listen on 127.0.0.1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse("test.yaml", []byte(c.file), nil)
			if err == nil {
				t.Fatal("got no error")
			}
			got := "config: " + strings.TrimPrefix(err.Error(), "config: ")
			if want := "config: " + c.want[1:]; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Each case changes one key of a good configuration into a bad one.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"device", `""`, "is missing"},
		{"device", "a/b", "contains '/'"},
		{"device", `"#"`, "contains '#'"},
		{"device", "[a]", "one value, not a list"},
		{"device", "{a: b}", "a single value, not a section"},
		{"device", "&x pump", "anchor"},
		{"device", "!!str pump", "tag"},
		{"device", strings.Repeat("x", 65), "at most 64"},
		{"device", "${NOT_SET}", "NOT_SET is not set"},
		{"device", `"a${"`, "without a name"},
		{"data_dir", "/" + strings.Repeat("x", 107), "control.socket"},
		{"modem.port", `""`, "is missing"},
		{"modem.baud", "fast", "not a whole number"},
		{"modem.baud", "1.5", "not a whole number"},
		{"modem.baud", "12345", "not a rate"},
		{"modem.apn", `'x"b'`, "quote (character 2)"},
		{"modem.apn", `"a\rAT+CFUN=0"`, "control character (character 2)"},
		{"modem.apn", `"a\x1A"`, "control character"},
		{"modem.apn", "ápn", "not ASCII (character 1)"},
		{"modem.apn", "a b", "contains ' '"},
		{"modem.apn", strings.Repeat("x", 101), "at most 100"},
		{"modem.user", `"a\nb"`, "control character"},
		{"modem.user", `'"'`, "quote"},
		{"modem.password", "${BAD_AT}", "quote (character 2)"},
		{"modem.pin", "${BAD_AT}", "four to eight digits"},
		{"modem.password_file", "/x", "useless without modem.user"},
		{"broker.url", `""`, "is missing"},
		{"broker.url", "[]", "is missing"},
		{"broker.url", "[[a]]", "not of lists"},
		{"broker.url", "b.example:1883", "is not the url"},
		{"broker.url", "b.example", "is not the url"},
		{"broker.url", "https://b.example", `scheme "https" is not known`},
		{"broker.url", "mqtt://", "is not the url"},
		{"broker.url", "mqtt://b.example:0", "not between 1 and 65535"},
		{"broker.url", "mqtt://b.example:70000", "not between 1 and 65535"},
		{"broker.url", "mqtt://b.example/topic", "more than a host"},
		{"broker.url", `"mqtt://b%22.example"`, `is not the url`},
		{"broker.url", "mqtt://brök.example", "xn--"},
		{"broker.url", "[mqtt://good.example, tcp://bad.example]", `"tcp"`},
		{"broker.client_id", `"a\0"`, "control characters"},
		{"broker.password_file", "/x", "needs broker.username"},
		{"broker.qos", "3", "from 0 to 2"},
		{"broker.qos", "-1", "from 0 to 2"},
		{"broker.return_after", "10s", "from 1m to"},
		{"broker.cluster", "maybe", "neither true nor false"},
		{"broker.poison_after", "-1", "from 0 to"},
		{"broker.release", "qisak", `did you mean "qisack"?`},
		{"broker.client_cert_file", "/c.pem", "needs broker.client_key_file"},
		{"broker.client_key_file", "/k.pem", "needs broker.client_cert_file"},
		{"broker.keepalive", "10m", "below 10m"},
		{"broker.keepalive", "1s", "at least 30s"},
		{"broker.keepalive", "often", "or auto"},
		{"broker.keepalive", "90500ms", "whole seconds"},
		{"broker.keepalive_min", "30m", "from 30s to 20m"},
		{"broker.keepalive_max", "2h", "from 30s to 1h"},
		{"budget.monthly_bytes", "1kB", "less than keeping"},
		{"budget.reserve", "1MB", "needs budget.monthly_bytes"},
		{"budget.month_starts", "31", "from 1 to 28"},
		{"queue.max_bytes", "64Mib", "is not a size"},
		{"queue.max_bytes", "1KiB", "from 1MiB to 256GiB"},
		{"queue.max_bytes", "-1", "negative"},
		{"queue.max_age", "1s", "too short"},
		{"queue.full", "drop", "not one of drop_oldest, refuse"},
		{"queue.commit_wait", "2s", "from 0s to 1s"},
		{"queue.release_wait", "0s", "from 10ms to 1m"},
		{"queue.release_wait", "2m", "from 10ms to 1m"},
		{"queue.drain", "live", "not one of in_order, live_first"},
		{"queue.history_share", "0", "from 1 to 99"},
		{"queue.history_share", "20%", "not a whole number"},
		{"queue.history_topic", "\"#\"", "wildcard"},
		{"queue.history_topic", "past/", "slash"},
		{"queue.keep_released", "300GiB", "from 0 to"},
		{"queue.loss_topic", "\"a\\u0000b\"", "readable text"},
		{"queue.loss_topic", "\"site/+/loss\"", "wildcard"},
		{"encoding.format", "batches", `did you mean "batch"?`},
		{"encoding.topic", "a/#", "wildcard"},
		{"encoding.compress", "gzip", "not one of none, deflate"},
		{"encoding.dictionary_file", "/x", "useless with plain payloads"},
		{"encoding.batch.max_messages", "1", "from 2 to 4096"},
		{"encoding.batch.max_bytes", "1MiB", "from 256 to 256KiB"},
		{"encoding.batch.max_age", "25h", "from 0s to 24h"},
		{"limits.max_payload", "0", "from 1 to 512KiB"},
		{"limits.max_payload", "1MiB", "from 1 to 512KiB"},
		{"sources.mqtt.max_clients", "0", "from 1 to 256"},
		{"sources.mqtt.listen", "1884", "not an address"},
		{"sources.mqtt.listen", "127.0.0.1:mqtt", "not a number"},
		{"sources.mqtt.listen", "sensors.example:1884", "not an IP address"},
		{"sources.http.listen", ":8081", "can be reached from the network"},
		{"web.listen", "192.168.0.1:80", "can be reached from the network"},
		{"web.listen", "127.0.0.1:8081", "taken by sources.http.listen"},
		{"web.hosts", "pump.example:80", "a name without port"},
		{"sources.http.hosts", "[a, b/c]", "a name without port"},
		{"web.token", "${BAD_AT}", "at least 16"},
		{"log.level", "inf", `did you mean "info"?`},
		{"log.format", "xml", "not one of"},
	} {
		t.Run(c.key+"="+c.value, func(t *testing.T) {
			good := map[string]string{"device": "d", "modem.apn": "a", "broker.url": "mqtt://b.example"}
			if c.key == "modem.password" {
				good["modem.user"] = "u"
			}
			good[c.key] = c.value
			_, err := config.Parse("test.yaml", []byte(compose(good)), []string{`BAD_AT=a"b`})
			got := problems(t, err)
			if len(got) != 1 {
				t.Errorf("got %d problems, want 1: %v", len(got), err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to contain %q", err, c.want)
			}
			if strings.Contains(err.Error(), `a"b`) {
				t.Errorf("the secret is told: %q", err)
			}
		})
	}
}

// compose writes keys by their paths as one YAML file.
func compose(keys map[string]string) string {
	sections := make(map[string]string)
	for path, value := range keys {
		parts := strings.Split(path, ".")
		line := strings.Repeat("  ", len(parts)-1) + parts[len(parts)-1] + ": " + value + "\n"
		sections[strings.Join(parts[:len(parts)-1], ".")] += line
	}
	text := sections[""]
	for _, section := range []string{"modem", "broker", "queue", "encoding", "budget", "limits", "web", "log", "control"} {
		if body := sections[section]; body != "" {
			text += section + ":\n" + body
		}
	}
	if body := sections["encoding.batch"]; body != "" {
		text += "encoding:\n  batch:\n" + body
	}
	for _, source := range []string{"mqtt", "http"} {
		if body := sections["sources."+source]; body != "" {
			text += "sources:\n  " + source + ":\n" + body
		}
	}
	return text
}

func TestAllProblemsAreReportedInTheOrderOfTheFile(t *testing.T) {
	_, err := config.Parse("test.yaml", []byte(`divice: d
modem:
  baud: fast
  apn: "a b"
queue: {max_age: 10x, fool: refuse}
`), nil)
	var got []string
	for _, p := range problems(t, err) {
		got = append(got, p.Key)
	}
	want := ",modem.baud,modem.apn,queue.max_age,,device,broker.url"
	if strings.Join(got, ",") != want {
		t.Errorf("got keys %q, want %q", strings.Join(got, ","), want)
	}
}

func TestProblemAsJSON(t *testing.T) {
	_, err := config.Parse("test.yaml", []byte(minimal+"log: {level: loud}\n"), nil)
	got, _ := json.Marshal(problems(t, err))
	want := `[{"file":"test.yaml","line":4,"column":14,"key":"log.level","source":"log: {level: loud}",` +
		`"message":"\"loud\" is not one of trace, debug, info, warn, error"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMisspeltSecretIsNotQuoted(t *testing.T) {
	for _, line := range []string{
		"pasword: hunter2", "  api_token : 'hunter2, hunter2'", `{"pin_file": /x, "pin": hunter2}`,
		"PASSWORD: hunter2 # hunter2", "url: mqtt://me:hunter2@b.example", "wifi_secret: [hunter2]",
	} {
		_, err := config.Parse("test.yaml", []byte(line+"\n"), nil)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is told:\n%v", line, err)
		}
	}
}

// TestDeepNestingTakesLittle gives the parser files for which it would take gigabytes.
func TestDeepNestingTakesLittle(t *testing.T) {
	const n = 30_000
	for name, text := range map[string]string{
		"lists":          "device: " + strings.Repeat("[", n) + strings.Repeat("]", n),
		"over lines":     "device: " + strings.Repeat("[\n", n),
		"sections":       "device: " + strings.Repeat("{a: ", n),
		"both":           "device: " + strings.Repeat("[{a: ", n),
		"dashes":         strings.Repeat("- ", n),
		"dashes in keys": "a:\n " + strings.Repeat("- ", n) + "b: 1",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := config.Parse("test.yaml", []byte(text), nil)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "nested too deeply") || len(err.Error()) > 300 {
			t.Errorf("%s: got %.300v, want a short report about the nesting", name, err)
		}
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 100 {
			t.Errorf("%s: took %d MiB for %d KiB", name, took, len(text)>>10)
		}
	}
	if _, err := config.Parse("test.yaml", []byte(minimal+"modem: {restart: {command: [[[[x]]]]}}\n"), nil); strings.Contains(err.Error(), "nested") {
		t.Errorf("got %v, want a few brackets taken for what they are", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config.Init())
	f.Add([]byte(minimal))
	f.Add([]byte("a: &x [*x]\n<<: {b: |\n c}\n? [d]\n: e\n--- !t\n"))
	f.Add([]byte("\xef\xbb\xbfdevice: \"\\u0000\"\r\nbroker: {url: [mqtt://a, {b: c}]}\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("fuzz.yaml", data, nil)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want one of them", c, err)
		}
		if err != nil {
			for _, p := range problems(t, err) {
				if p.Message == "" || strings.ContainsAny(p.Source, "\r\n\x1b") {
					t.Errorf("not fit for a terminal: %+v", p)
				}
			}
			return
		}
		if _, err := config.Parse("shown.yaml", c.Show(), nil); err != nil {
			t.Errorf("what is shown isn't valid: %v\n%s", err, c.Show())
		}
	})
}
