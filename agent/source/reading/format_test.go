package reading_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source/reading"
)

func Example() {
	parse, err := reading.NewParser(reading.Format{Kind: "regex", Pattern: `T=(?P<temp>[-\d.]+) H=(?P<humidity>\d+)`})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := parse([]byte("T=21.50 H=40%"))
	if err != nil {
		fmt.Println(err)
		return
	}
	topic, _ := reading.ParseTemplate("{device}/{source}")
	maker := reading.NewMaker(reading.Rule{Device: "pump-07", Source: "room", Topic: topic})
	msgs, _ := maker.Make(set, time.Now(), 0)
	fmt.Println(msgs[0].Topic, string(msgs[0].Payload))
	// Output: pump-07/room {"temp":21.50,"humidity":40}
}

// show writes a set on one line: labels, fields as JSON, time.
func show(s reading.Set) string {
	var parts []string
	for _, f := range s.Fields {
		parts = append(parts, f.Name+"="+f.Value.JSON())
	}
	text := strings.Join(parts, " ")
	for _, name := range []string{"measurement", "tag.host", "tag.a b"} {
		if v, ok := s.Labels[name]; ok {
			text = name + ":" + v + " " + text
		}
	}
	if !s.Time.IsZero() {
		text += " @" + s.Time.Format(time.RFC3339Nano)
	}
	return text
}

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format     reading.Format
		line, want string // want begins with ! for an error
	}{
		{reading.Format{}, " 21.50 ", "=21.50"},
		{reading.Format{}, "on", `="on"`},
		{reading.Format{}, `say "ü" <b>`, `="say \"ü\" <b>"`},
		{reading.Format{}, "007", `="007"`},
		{reading.Format{}, "-1.5e3", "=-1.5e3"},
		{reading.Format{}, "1e999", `="1e999"`},
		{reading.Format{}, "a\x00b", "!not text"},
		{reading.Format{}, "a\xffb", "!not text"},
		{reading.Format{Kind: "regex", Pattern: `^(?P<a>\d+)(,(?P<b>\d+))?`}, "12", "a=12"},
		{reading.Format{Kind: "regex", Pattern: `^(?P<a>\d+)(,(?P<b>\d+))?`}, "12,13 V", "a=12 b=13"},
		{reading.Format{Kind: "regex", Pattern: `^(?P<a>\d+)`}, "boot", "!doesn't match"},
		{reading.Format{Kind: "csv", Columns: []string{"t", "-", "h"}}, `21.5, x ,"a, b"`, `t=21.5 h="a, b"`},
		{reading.Format{Kind: "csv", Columns: []string{"t", "-", "h"}}, `21.5,x,`, `t=21.5`},
		{reading.Format{Kind: "csv", Columns: []string{"t", "h"}, Separator: "\t"}, "1\t", `t=1`},
		{reading.Format{Kind: "csv", Columns: []string{"t", "h"}, Separator: ";"}, "1;2", `t=1 h=2`},
		{reading.Format{Kind: "csv", Columns: []string{"t", "h"}}, "1", "!1 columns, not 2"},
		{reading.Format{Kind: "csv", Columns: []string{"t"}}, `"1`, "!no row"},
		{reading.Format{Kind: "csv", Columns: []string{"t", "h"}}, ",", "!no value"},
		{reading.Format{Kind: "json"}, `{"t":21.50,"gps":{"lat":1,"ok":true},"l":[1,"x"],"n":null,"s":"5"}`,
			`gps.lat=1 gps.ok=true l=[1,"x"] n=null s="5" t=21.50`},
		{reading.Format{Kind: "json", Fields: []string{"gps.lat", "t"}}, `{"t":1,"gps":{"lat":2}}`, `gps.lat=2 t=1`},
		{reading.Format{Kind: "json", Fields: []string{"x"}}, `{"t":1}`, "!no x"},
		{reading.Format{Kind: "json"}, "21.5", "=21.5"},
		{reading.Format{Kind: "json"}, "{}", "!no value"},
		{reading.Format{Kind: "json"}, `{"a":1} 2`, "!more than one"},
		{reading.Format{Kind: "json"}, `{"a":`, "!not JSON"},
		{reading.Format{Kind: "json"}, strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "!nests more"},
		{reading.Format{Kind: "influx"}, `cpu,host=a\,b\ c,a\ b=1 load=0.50,n=3i,u=4u,on=t,s="x, \"y\"=z" 1700000000000000001`,
			`tag.a b:1 tag.host:a,b c measurement:cpu load=0.50 n=3 u=4 on=true s="x, \"y\"=z" @2023-11-14T22:13:20.000000001Z`},
		{reading.Format{Kind: "influx", Precision: "s"}, "m f=+1 1700000000", "measurement:m f=1 @2023-11-14T22:13:20Z"},
		{reading.Format{Kind: "influx"}, "m f=1,f=2", "measurement:m f=2"},
		{reading.Format{Kind: "influx"}, `m f="a b`, "!no end"},
		{reading.Format{Kind: "influx"}, "m", "!no field"},
		{reading.Format{Kind: "influx"}, ",a=b f=1", "!no measurement"},
		{reading.Format{Kind: "influx"}, "m,b=c,a f=1", "!tag 2 is not TAG=VALUE"},
		{reading.Format{Kind: "influx"}, "m f", "!not FIELD=VALUE"},
		{reading.Format{Kind: "influx"}, "m e=1,f=abc", "!field 2: it is not a value"},
		{reading.Format{Kind: "influx"}, "m f=NaN", "!not a finite number"},
		{reading.Format{Kind: "influx"}, "m f=1 noon", "!not a time"},
		{reading.Format{Kind: "influx", Precision: "s"}, "m f=1 9223372036854775807", "!not a time"},
	} {
		parse, err := reading.NewParser(c.format)
		if err != nil {
			t.Fatalf("%+v: %v", c.format, err)
		}
		set, err := parse([]byte(c.line))
		if bad, ok := strings.CutPrefix(c.want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), bad) {
				t.Errorf("%s %q: got %v, %v, want an error with %q", c.format.Kind, c.line, show(set), err, bad)
			}
			continue
		}
		if got := show(set); err != nil || got != c.want {
			t.Errorf("%s %q: got %s, %v, want %s", c.format.Kind, c.line, got, err, c.want)
		}
	}
}

func TestFormatsThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		format reading.Format
		want   string
	}{
		{reading.Format{Kind: "xml"}, "not one of line, regex"},
		{reading.Format{Kind: "regex", Pattern: "("}, "no regular expression"},
		{reading.Format{Kind: "regex", Pattern: `(\d+)`}, "names no value"},
		{reading.Format{Kind: "regex", Pattern: `(?P<a>x)(?P<a>y)`}, "a"},
		{reading.Format{Kind: "csv"}, "names of its columns"},
		{reading.Format{Kind: "csv", Columns: []string{"a", "a"}}, "two columns"},
		{reading.Format{Kind: "csv", Columns: []string{"a"}, Separator: "ab"}, "not one character"},
		{reading.Format{Kind: "csv", Columns: []string{"a"}, Separator: `"`}, "not one character"},
		{reading.Format{Kind: "influx", Precision: "h"}, "not one of ns, us, ms, s"},
	} {
		if _, err := reading.NewParser(c.format); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.format, err, c.want)
		}
	}
}

func TestSplitter(t *testing.T) {
	const text = "one\r\ntwo\n\n\rthree\rmuch too long for this\nfour"
	for _, chunk := range []int{1, 2, 3, 7, len(text)} {
		var got []string
		s := reading.Splitter{Max: 8}
		line := func(b []byte) { got = append(got, string(b)) }
		for rest := []byte(text); len(rest) > 0; {
			n := min(chunk, len(rest))
			s.Push(rest[:n], line, func(error) { got = append(got, "too long") })
			rest = rest[n:]
		}
		s.End(line)
		want := []string{"one", "two", "three", "too long", "four"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in pieces of %d: (-want +got)\n%s", chunk, diff)
		}
	}
}
