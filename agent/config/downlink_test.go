package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/config"
)

const least = "device: d\nmodem: {apn: a}\nbroker: {url: mqtt://b.example}\n"

func TestDownlinkProblems(t *testing.T) {
	for text, want := range map[string]string{
		"downlink: {enabled: true, allow: [statsu]}":              `did you mean "status"?`,
		"downlink: {enabled: true, allow: [Valve]}":               "is not the name of a command",
		"downlink: {enabled: true, allow: [valve], prefix: ''}":   "is for local software, which needs downlink.prefix",
		"downlink: {enabled: true, allow: []}":                    "no command would be carried out",
		"downlink: {enabled: true, answer_topic: d/cmd/a}":        "would be taken for a command",
		"downlink: {topic: d/+}":                                  "contains a wildcard",
		"downlink: {prefix: $SYS}":                                "reserved for brokers",
		"downlink: {max_bytes: 3KiB}":                             "must be from 64 to 2800",
		"downlink: {rate: 0}":                                     "must be from 1 to 600",
		"downlink: {enabled: maybe}":                              "neither true nor false",
		"presence: {topic: '#'}":                                  "contains a wildcard",
		"downlink: {enabled: true, allow: [status, valve]}":       "",
		"downlink: {enabled: true, allow: [forward, config-get]}": "",
	} {
		_, err := config.Parse("test.yaml", []byte(least+text+"\n"), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "test.yaml:4:")) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestDownlinkTopics(t *testing.T) {
	for text, want := range map[string][3]string{
		"":                       {"d/cmd", "d/answer", "d/status"},
		"presence: {topic: off}": {"d/cmd", "d/answer", ""},
		"downlink: {topic: a/b, answer_topic: c}\npresence: {topic: e}": {"a/b", "c", "e"},
	} {
		c, err := config.Parse("test.yaml", []byte(least+text+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{c.CommandTopic(), c.AnswerTopic(), c.PresenceTopic()}; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

func TestChanged(t *testing.T) {
	parse := func(text string) *config.Config {
		t.Helper()
		c, err := config.Parse("test.yaml", []byte(least+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := parse("")
	b := parse("log: {level: debug}\ndownlink: {allow: [flush]}\nsources: {exec: [{name: t, command: [/bin/date], topic: t, interval: 1m}]}\n")
	want := []string{"downlink.allow", "log.level", "sources.exec"}
	if diff := cmp.Diff(want, config.Changed(a, b)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if got := config.Changed(a, parse("")); len(got) > 0 {
		t.Errorf("nothing was changed, got %v", got)
	}
	c := a.With(b, []string{"log.level"})
	if diff := cmp.Diff([]string{"downlink.allow", "sources.exec"}, config.Changed(c, b)); diff != "" {
		t.Errorf("still different (-want +got):\n%s", diff)
	}
	if a.Log.Level != "info" {
		t.Error("With has changed what it was called on")
	}
	if diff := cmp.Diff([]string(nil), config.Changed(c.With(b, want), b)); diff != "" {
		t.Errorf("with all of them (-want +got):\n%s", diff)
	}
}
