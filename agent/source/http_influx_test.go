package source_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

func influx(t *testing.T, text string) func(*source.HTTPConfig) {
	return func(cfg *source.HTTPConfig) { cfg.Influx = reading.Rule{Device: "dev", Topic: topic(t, text)} }
}

func TestHTTPInflux(t *testing.T) {
	at := time.Unix(1700000000, 0).UTC()
	for _, c := range []struct {
		topic, query, body string
		want               []queue.Message
	}{
		{"{device}/{measurement}", "", "# a comment\n\nair,room=a t=21.50,h=40i 1700000000000000000\r\nair on=t\n", []queue.Message{
			{Topic: "dev/air", Payload: []byte(`{"t":21.50,"h":40}`), Time: at, Trust: queue.TrustKnown},
			{Topic: "dev/air", Payload: []byte(`{"on":true}`)},
		}},
		{"{measurement}/{tag.room}/{field}", "?qos=0&lane=alarm&retain=true&precision=s", "air,room=a t=1,h=2 1700000000", []queue.Message{
			{Topic: "air/a/t", Payload: []byte("1"), Time: at, Trust: queue.TrustKnown, Lane: queue.Alarm, Retain: true},
			{Topic: "air/a/h", Payload: []byte("2"), Time: at, Trust: queue.TrustKnown, Lane: queue.Alarm, Retain: true},
		}},
		{"t", "?expiry=1h&precision=ms", "m f=1 1700000000000", []queue.Message{
			{Topic: "t", Payload: []byte(`{"f":1}`), Time: at, Trust: queue.TrustKnown, Expires: at.Add(time.Hour)},
		}},
	} {
		h, s, url := newHTTP(t, influx(t, c.topic))
		resp, got := do(t, "POST", url+"/v1/influx"+c.query, c.body)
		if resp.StatusCode != 202 || got.Accepted != len(c.want) || got.FirstSeq != 1 {
			t.Errorf("%s: got %s %+v", c.body, resp.Status, got)
		}
		for i := range c.want {
			if c.want[i].Source = "http"; !strings.Contains(c.query, "qos") {
				c.want[i].QoS = 1
			}
		}
		msgs := s.all()
		for i := range msgs { // the span is kept; how long the test has taken isn't
			if !msgs[i].Expires.IsZero() {
				msgs[i].Expires = msgs[i].Expires.Round(patience)
			}
		}
		if diff := cmp.Diff(c.want, msgs); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.body, diff)
		}
		if st := h.Status(); st.Accepted != uint64(len(c.want)) {
			t.Errorf("got status %+v", st)
		}
	}
}

func TestHTTPInfluxRefuses(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "", "", 405, "use POST"},
		{"POST", "/x", "m f=1", 404, ""},
		{"POST", "?precision=h", "m f=1", 400, "not one of ns"},
		{"POST", "?db=x", "m f=1", 400, "db"},
		{"POST", "", "", 400, "no line"},
		{"POST", "", "# only this", 400, "no line"},
		{"POST", "", "m,room=a f=1\nm f", 400, "line 2: "},
		{"POST", "", "m,room=a f=1\nm f=1", 400, "line 2: the topic needs {tag.room}"},
		{"POST", "", "m,room=a f=\"" + strings.Repeat("x", 100) + "\"", 413, "line 1: the payload has"},
		{"POST", "", strings.Repeat("m,room=a f=1\n", 1001), 413, "more than 1000"},
		{"POST", "", strings.Repeat("\n", 1<<20+1), 413, "more than 1048576"},
	} {
		h, s, url := newHTTP(t, influx(t, "{tag.room}"))
		resp, got := do(t, c.method, url+"/v1/influx"+c.path, c.body)
		if resp.StatusCode != c.status || !strings.Contains(got.Error+" "+got.Hint, c.want) || got.Hint == "" {
			t.Errorf("%s %s %.30q: got %s %+v, want %d and %q", c.method, c.path, c.body, resp.Status, got, c.status, c.want)
		}
		if n := len(s.all()); n != 0 || h.Status().Accepted != 0 {
			t.Errorf("%s %.30q: %d messages were accepted", c.path, c.body, n)
		}
	}
	for _, c := range []struct {
		change func(*source.HTTPConfig)
		err    error
		status int
	}{
		{func(cfg *source.HTTPConfig) { cfg.Token = "0123456789abcdef" }, nil, 401},
		{nil, queue.ErrFull, 507},
		{nil, errBroken, 503},
	} {
		_, s, url := newHTTP(t, func(cfg *source.HTTPConfig) {
			influx(t, "t")(cfg)
			if c.change != nil {
				c.change(cfg)
			}
		})
		s.fail(c.err)
		if resp, got := do(t, "POST", url+"/v1/influx", "m f=1"); resp.StatusCode != c.status {
			t.Errorf("%v: got %s %+v, want %d", c.err, resp.Status, got, c.status)
		}
	}
}
