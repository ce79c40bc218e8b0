package reading_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

// fuzzLines gives any line to a parser. What it takes becomes messages that a broker takes: a topic that is one, a payload
// that is text, or JSON where it says so.
func fuzzLines(f *testing.F, format reading.Format, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	parse, err := reading.NewParser(format)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		set, err := parse(line)
		if err != nil {
			return
		}
		if len(set.Fields) == 0 {
			t.Fatal("a set without a value, and no error")
		}
		names := map[string]bool{}
		for _, field := range set.Fields {
			if names[field.Name] {
				t.Errorf("two values are called %q", field.Name)
			}
			names[field.Name] = true
		}
		for _, topic := range []string{"{device}/x", "{device}/{field}"} {
			m := reading.NewMaker(reading.Rule{Device: "d", Topic: template(t, topic), Payload: reading.Stamped})
			msgs, err := m.Make(set, noon, queue.TrustKnown)
			if err != nil {
				t.Fatal(err)
			}
			for _, msg := range msgs {
				if err := queue.ValidateTopic(msg.Topic); err != nil || strings.Count(msg.Topic, "/") != 1 {
					t.Errorf("topic %q: %v", msg.Topic, err)
				}
				if !json.Valid(msg.Payload) || !utf8.Valid(msg.Payload) {
					t.Errorf("payload %q is not JSON", msg.Payload)
				}
			}
		}
	})
}

func FuzzLine(f *testing.F) {
	fuzzLines(f, reading.Format{}, "21.5", "-0", "1e5", "007", "\x00", "\"")
}

func FuzzRegex(f *testing.F) {
	fuzzLines(f, reading.Format{Kind: "regex", Pattern: `(?P<a>\S+)(?:[ ,](?P<b>.*))?`}, "1 2", "a,", ",")
}

func FuzzCSV(f *testing.F) {
	fuzzLines(f, reading.Format{Kind: "csv", Columns: []string{"a", "-", "b"}}, "1,2,3", `"a""b",,"c`, ",,")
}

func FuzzJSON(f *testing.F) {
	fuzzLines(f, reading.Format{Kind: "json"}, `{"a":{"b":[1,null]},"a.b":2}`, `1`, `{"":{"":1}}`, `{"a":1e999}`)
}

func FuzzInflux(f *testing.F) {
	fuzzLines(f, reading.Format{Kind: "influx"}, `m,a=b f=1,g="x\"y",h=3i,i=t 1700000000000000000`, `m\ n f="\\"`, `m f=1e400`, `m\`)
}

// FuzzSplitter cuts a stream at any two places: the lines are the same, and none is too long.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("one\r\ntwo\rthree\n\n"), 3, 5)
	f.Fuzz(func(t *testing.T, text []byte, i, j int) {
		i, j = min(max(i, 0), len(text)), min(max(j, 0), len(text))
		split := func(parts ...[]byte) string {
			var b strings.Builder
			s := reading.Splitter{Max: 16}
			line := func(l []byte) {
				if len(l) == 0 || len(l) > 16 {
					t.Errorf("a line of %d bytes", len(l))
				}
				b.Write(l)
				b.WriteByte('\n')
			}
			for _, part := range parts {
				s.Push(part, line, func(error) { b.WriteByte('!') })
			}
			s.End(line)
			return b.String()
		}
		want := split(text)
		if got := split(text[:min(i, j)], text[min(i, j):max(i, j)], text[max(i, j):]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// FuzzTemplate: a template that is taken is made of its names and of what stands between them.
func FuzzTemplate(f *testing.F) {
	f.Add("{device}/{source}/x{tag.host}")
	f.Add("{a}{b}}{")
	f.Fuzz(func(t *testing.T, text string) {
		tpl, err := reading.ParseTemplate(text)
		if err != nil {
			return
		}
		rest := text
		for _, name := range tpl.Names() {
			_, after, found := strings.Cut(rest, "{"+name+"}")
			if !found || name == "" || strings.ContainsAny(name, "{}") {
				t.Errorf("%q: the name %q is not in it", text, name)
			}
			rest = after
		}
		if strings.ContainsAny(rest, "{}") || tpl.String() != text {
			t.Errorf("%q: %q is left of it", text, rest)
		}
	})
}
