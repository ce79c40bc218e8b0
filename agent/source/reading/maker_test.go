package reading_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

func template(t *testing.T, text string) reading.Template {
	t.Helper()
	tpl, err := reading.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func number(t *testing.T, n float64) reading.Value {
	t.Helper()
	v, err := reading.Number(n)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestMessages(t *testing.T) {
	one := reading.Set{Fields: []reading.Field{{Value: reading.Text("on")}}}
	two := reading.Set{
		Labels: map[string]string{"chip": "a/b+c#d", "measurement": "m"},
		Fields: []reading.Field{{Name: "t", Value: reading.Text("21.50")}, {Name: "s", Value: reading.Text("ok")}},
	}
	early := two
	early.Time = noon.Add(-time.Hour)
	for _, c := range []struct {
		topic   string
		payload reading.Payload
		set     reading.Set
		trust   queue.Trust
		want    []string
	}{
		{"{device}/{source}", reading.Plain, one, 0, []string{"d/s on"}},
		{"{device}/{field}", reading.Plain, one, 0, []string{"d/value on"}},
		{"{device}/{source}", reading.Plain, two, 0, []string{`d/s {"t":21.50,"s":"ok"}`}},
		{"{device}/{field}", reading.Plain, two, 0, []string{"d/t 21.50", "d/s ok"}},
		{"x/{chip}/{measurement}", reading.Plain, two, 0, []string{`x/a_b_c_d/m {"t":21.50,"s":"ok"}`}},
		{"t", reading.Stamped, one, queue.TrustKnown, []string{`t {"value":"on","time":"2026-05-01T12:00:00.000Z"}`}},
		{"t", reading.Stamped, one, queue.TrustUnknown, []string{`t {"value":"on","time":null}`}},
		{"t", reading.Stamped, early, queue.TrustUnknown, []string{`t {"value":{"t":21.50,"s":"ok"},"time":"2026-05-01T11:00:00.000Z"}`}},
		{"t/{field}", reading.Stamped, two, queue.TrustGuessed, []string{`t/t {"value":21.50,"time":"2026-05-01T12:00:00.000Z"}`, `t/s {"value":"ok","time":"2026-05-01T12:00:00.000Z"}`}},
	} {
		m := reading.NewMaker(reading.Rule{Device: "d", Source: "s", Topic: template(t, c.topic), Payload: c.payload, Lane: queue.Alarm, QoS: 2, Origin: "exec:s"})
		msgs, err := m.Make(c.set, noon, c.trust)
		if err != nil {
			t.Errorf("%s: %v", c.topic, err)
		}
		var got []string
		for _, msg := range msgs {
			got = append(got, msg.Topic+" "+string(msg.Payload))
			if msg.Lane != queue.Alarm || msg.QoS != 2 || msg.Source != "exec:s" {
				t.Errorf("%s: got %+v", c.topic, msg)
			}
			if c.set.Time.IsZero() != msg.Time.IsZero() {
				t.Errorf("%s: got time %v, want that of the set or none", c.topic, msg.Time)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.topic, diff)
		}
	}
	m := reading.NewMaker(reading.Rule{Topic: template(t, "{tag.host}")})
	if msgs, err := m.Make(one, noon, 0); err == nil || !strings.Contains(err.Error(), "{tag.host}") {
		t.Errorf("a label that is missing: got %v, %v", msgs, err)
	}
}

// play makes and commits a message for each value, a minute apart, and returns those that passed.
func play(t *testing.T, rule reading.Rule, values ...float64) string {
	t.Helper()
	rule.Topic = template(t, "t")
	m := reading.NewMaker(rule)
	var passed []string
	for i, v := range values {
		msgs, err := m.Make(reading.Set{Fields: []reading.Field{{Value: number(t, v)}}}, noon.Add(time.Duration(i)*time.Minute), 0)
		if err != nil {
			t.Fatal(err)
		}
		m.Commit()
		for _, msg := range msgs {
			passed = append(passed, fmt.Sprintf("%d:%s", i, msg.Payload))
		}
	}
	return strings.Join(passed, " ")
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		name   string
		rule   reading.Rule
		values []float64
		want   string
	}{
		{"none", reading.Rule{}, []float64{1, 1, 1}, "0:1 1:1 2:1"},
		{"change", reading.Rule{Change: true}, []float64{1, 1, 2, 2, 1}, "0:1 2:2 4:1"},
		{"deadband counts from what was sent, so that a drift is seen", reading.Rule{Deadband: 0.5},
			[]float64{1, 1.3, 1.5, 1.9, 2.1, 1.7, 1.6}, "0:1 2:1.5 4:2.1 6:1.6"},
		{"silence", reading.Rule{Change: true, MaxSilence: 3 * time.Minute}, []float64{1, 1, 1, 1, 1, 1, 1}, "0:1 3:1 6:1"},
		{"silence counts from the last message", reading.Rule{Deadband: 1, MaxSilence: 3 * time.Minute}, []float64{1, 1, 2, 2, 2, 2}, "0:1 2:2 5:2"},
		{"spacing", reading.Rule{Spacing: 2 * time.Minute}, []float64{1, 2, 3, 4, 5}, "0:1 2:3 4:5"},
		{"spacing before change", reading.Rule{Spacing: 2 * time.Minute, Change: true}, []float64{1, 2, 1, 2}, "0:1 3:2"},
	} {
		if got := play(t, c.rule, c.values...); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestFiltersLookAtEachTopicAndAllItsFields(t *testing.T) {
	set := func(a, b string) reading.Set {
		return reading.Set{Fields: []reading.Field{{Name: "a", Value: reading.Text(a)}, {Name: "b", Value: reading.Text(b)}}}
	}
	split := reading.NewMaker(reading.Rule{Topic: template(t, "t/{field}"), Change: true})
	whole := reading.NewMaker(reading.Rule{Topic: template(t, "t"), Change: true})
	for i, c := range []struct {
		set          reading.Set
		split, whole int
	}{
		{set("1", "on"), 2, 1}, {set("1", "on"), 0, 0}, {set("1", "off"), 1, 1}, {set("2", "on"), 2, 1}, {set("2", "2"), 1, 1},
	} {
		for maker, want := range map[*reading.Maker]int{split: c.split, whole: c.whole} {
			msgs, err := maker.Make(c.set, noon, 0)
			maker.Commit()
			if err != nil || len(msgs) != want {
				t.Errorf("set %d: got %d messages, %v, want %d", i, len(msgs), err, want)
			}
		}
	}
}

// A value that was not stored must not keep the next one from being sent.
func TestFiltersForgetWhatWasNotStored(t *testing.T) {
	m := reading.NewMaker(reading.Rule{Topic: template(t, "t"), Change: true})
	set := reading.Set{Fields: []reading.Field{{Value: reading.Text("1")}}}
	for i, c := range []struct {
		end  func()
		want int
	}{{m.Rollback, 1}, {m.Rollback, 1}, {m.Commit, 1}, {m.Commit, 0}} {
		msgs, err := m.Make(set, noon, 0)
		again, _ := m.Make(set, noon, 0) // in the same batch
		if err != nil || len(msgs) != c.want || len(again) != 0 {
			t.Errorf("round %d: got %d and %d messages, %v, want %d and none", i, len(msgs), len(again), err, c.want)
		}
		c.end()
	}
}

func TestFiltersAreBounded(t *testing.T) {
	m := reading.NewMaker(reading.Rule{Topic: template(t, "{tag.host}"), Change: true})
	for round := range 2 {
		passed := 0
		for i := range 5000 {
			msgs, err := m.Make(reading.Set{Labels: map[string]string{"tag.host": fmt.Sprint(i)}, Fields: []reading.Field{{Value: reading.Text("1")}}}, noon, 0)
			if err != nil {
				t.Fatal(err)
			}
			m.Commit()
			passed += len(msgs)
		}
		if want := []int{5000, 5000 - 4096}[round]; passed != want {
			t.Errorf("round %d: %d passed, want %d", round, passed, want)
		}
	}
}

func TestTemplates(t *testing.T) {
	for _, text := range []string{"{", "a}", "{}", "{a{b}", "a/{b"} {
		if _, err := reading.ParseTemplate(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	got := template(t, "{device}/x/{tag.host}{field}").Names()
	if diff := cmp.Diff([]string{"device", "tag.host", "field"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 21.5: "21.5", -0.001: "-0.001", 1e20: "100000000000000000000", 1e300: "1e+300", 1e-9: "1e-09"} {
		if got := number(t, n).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if v, err := reading.Number32(0.1); err != nil || v.String() != "0.1" {
		t.Errorf("single precision: got %s, %v, want 0.1", v, err)
	}
	for _, n := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if _, err := reading.Number(n); err == nil {
			t.Errorf("%v is taken for a value", n)
		}
	}
}
