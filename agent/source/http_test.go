package source_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/queue"
)

func newHTTP(t *testing.T, change func(*source.HTTPConfig)) (*source.HTTP, *sink, string) {
	t.Helper()
	s := &sink{}
	cfg := source.HTTPConfig{Address: "127.0.0.1:0", Sink: s, QoS: 1, Limits: source.Limits{MaxPayload: 100}}
	if change != nil {
		change(&cfg)
	}
	h, err := source.NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	address, _ := start(t, h)
	return h, s, "http://" + address
}

type answer struct {
	Schema   int    `json:"schema"`
	Accepted int    `json:"accepted"`
	FirstSeq uint64 `json:"first_seq"`
	Code     string `json:"code"`
	Error    string `json:"error"`
	Hint     string `json:"hint"`
}

// do sends a request; header lines are "Name: value".
func do(t *testing.T, method, url, body string, header ...string) (*http.Response, answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, ok := strings.Cut(h, ": ")
		if !ok {
			continue
		}
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || a.Schema != 1 {
		t.Errorf("%s %s: got %s with schema %d and %v, want JSON", method, url, resp.Status, a.Schema, err)
	}
	return resp, a
}

const ndjson = "Content-Type: application/x-ndjson"

func TestHTTPAccepts(t *testing.T) {
	for _, c := range []struct {
		path, body, header string
		want               []queue.Message
	}{
		{"/v1/messages/pump/07/level", "3.1", "", []queue.Message{{Topic: "pump/07/level", Payload: []byte("3.1"), QoS: 1}}},
		{"/v1/messages/a//b/", "", "", []queue.Message{{Topic: "a//b/", Payload: []byte{}, QoS: 1}}},
		{"/v1/messages//a/../b", "x", "", []queue.Message{{Topic: "/a/../b", Payload: []byte("x"), QoS: 1}}},
		{"/v1/messages/gr%C3%BCn%2Fx%20y", "x", "Content-Type: application/json", []queue.Message{{Topic: "grün/x y", Payload: []byte("x"), QoS: 1}}},
		{"/v1/messages/a?qos=2&retain=true&lane=alarm", "x", "", []queue.Message{{Topic: "a", Payload: []byte("x"), QoS: 2, Retain: true, Lane: queue.Alarm}}},
		{"/v1/messages/a", strings.Repeat("x", 100), "", []queue.Message{{Topic: "a", Payload: []byte(strings.Repeat("x", 100)), QoS: 1}}},
		{"/v1/messages?qos=0", `{"topic":"a","payload":"text \"q\""}

{"topic":"b","payload":{"v": 1},"qos":2,"retain":true,"lane":"bulk"}
{"topic":"c","payload_base64":"AAH/"}
{"topic":"d","payload":null}`, ndjson, []queue.Message{
			{Topic: "a", Payload: []byte(`text "q"`)},
			{Topic: "b", Payload: []byte(`{"v": 1}`), QoS: 2, Retain: true, Lane: queue.Bulk},
			{Topic: "c", Payload: []byte{0, 1, 255}},
			{Topic: "d", Payload: []byte("null")},
		}},
	} {
		h, s, url := newHTTP(t, nil)
		resp, got := do(t, "POST", url+c.path, c.body, c.header)
		if resp.StatusCode != 202 || got.Accepted != len(c.want) || got.FirstSeq != 1 {
			t.Errorf("%s: got %s %+v", c.path, resp.Status, got)
		}
		for i := range c.want {
			c.want[i].Source = "http"
		}
		if diff := cmp.Diff(c.want, s.all()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.path, diff)
		}
		if st := h.Status(); st.Accepted != uint64(len(c.want)) || st.LastTopic != c.want[len(c.want)-1].Topic {
			t.Errorf("%s: got status %+v", c.path, st)
		}
	}
}

func TestHTTPExpiry(t *testing.T) {
	_, s, url := newHTTP(t, nil)
	before := time.Now()
	do(t, "POST", url+"/v1/messages/a?expiry=1h", "x")
	do(t, "POST", url+"/v1/messages?expiry=1h", `{"topic":"b","payload":1}`+"\n"+`{"topic":"c","payload":1,"expiry":"2h"}`, ndjson)
	for i, want := range []time.Duration{time.Hour, time.Hour, 2 * time.Hour} {
		if got := s.all()[i].Expires.Sub(before); got < want || got > want+patience {
			t.Errorf("message %d expires in %v, want %v", i, got, want)
		}
	}
}

func TestHTTPRefuses(t *testing.T) {
	const a = "/v1/messages/a"
	const all = "/v1/messages"
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		want                       string
	}{
		{"POST", "/", "", "", 404, "POST /v1/messages/TOPIC"},
		{"POST", "/v1/messagesx", "", "", 404, ""},
		{"GET", a, "", "", 405, "use POST"},
		{"PUT", a, "x", "", 405, "use POST"},
		{"POST", "/v1/messages/a/%23", "x", "", 400, "wildcard"},
		{"POST", "/v1/messages/%24SYS", "x", "", 400, "begins with $"},
		{"POST", "/v1/messages/%FF", "x", "", 400, "UTF-8"},
		{"POST", a + "?qos=3", "x", "", 400, "QoS is 3"},
		{"POST", a + "?qos=high", "x", "", 400, "qos is"},
		{"POST", a + "?retain=maybe", "x", "", 400, "retain is"},
		{"POST", a + "?lane=fast", "x", "", 400, "lane is"},
		{"POST", a + "?expiry=soon", "x", "", 400, "expiry is"},
		{"POST", a + "?expiry=-1s", "x", "", 400, "expiry is"},
		{"POST", a + "?ttl=1s", "x", "", 400, "not known"},
		{"POST", a + "?%zz", "x", "", 400, "not encoded"},
		{"POST", a, strings.Repeat("x", 101), "", 413, "more than 100"},
		{"POST", a, "x", "Content-Encoding: gzip", 415, "gzip"},
		{"POST", a, "x", "Host: evil.example", 403, "evil.example"},
		{"POST", a, "x", "Sec-Fetch-Site: cross-site", 403, "another origin"},
		{"POST", a, "x", "Origin: http://evil.example", 403, "another origin"},
		{"POST", all, "x", "", 415, "application/x-ndjson"},
		{"POST", all, `{"topic":"a"}`, "Content-Type: application/json", 415, "application/x-ndjson"},
		{"POST", all, "\n\n", ndjson, 400, "no message"},
		{"POST", all, `{"topic":"a","payload":1}` + "\n{", ndjson, 400, "line 2: not a message"},
		{"POST", all, `{"topic":"a","payload":1} {}`, ndjson, 400, "more than one"},
		{"POST", all, `{"topic":"a","payload":1,"qoss":1}`, ndjson, 400, "qoss"},
		{"POST", all, `{"topic":"a","payload":1,"payload_base64":""}`, ndjson, 400, "both"},
		{"POST", all, `{"topic":"a"}`, ndjson, 400, "payload is missing"},
		{"POST", all, `{"topic":"a/+","payload":1}`, ndjson, 400, "line 1: "},
		{"POST", all, `{"topic":"a","payload":1,"lane":"x"}`, ndjson, 400, "lane is"},
		{"POST", all, `{"topic":"a","payload":1,"expiry":"x"}`, ndjson, 400, "expiry is"},
		{"POST", all, `{"topic":"a","payload":"` + strings.Repeat("x", 101) + `"}`, ndjson, 413, "line 1: the payload has 101 bytes"},
		{"POST", all, strings.Repeat("{\"topic\":\"a\",\"payload\":1}\n", 1001), ndjson, 413, "more than 1000"},
		{"POST", all, strings.Repeat("\n", 1<<20+1), ndjson, 413, "more than 1048576"},
	} {
		h, s, url := newHTTP(t, nil)
		resp, got := do(t, c.method, url+c.path, c.body, c.header)
		if resp.StatusCode != c.status || !strings.Contains(got.Error+" "+got.Hint, c.want) || got.Hint == "" || got.Code == "" {
			t.Errorf("%s %s %.30q: got %s %+v, want %d and %q", c.method, c.path, c.body, resp.Status, got, c.status, c.want)
		}
		if n := len(s.all()); n != 0 || h.Status().Accepted != 0 {
			t.Errorf("%s %s: %d messages were accepted", c.method, c.path, n)
		}
	}
}

func TestHTTPTellsWhyNothingIsStored(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{queue.ErrFull, 507, "full"},
		{fmt.Errorf("x: %w", queue.ErrDiskFull), 507, "full"},
		{&queue.TooLargeError{Size: 2, Max: 1}, 413, "too_large"},
		{queue.ErrInvalid, 400, "invalid"},
		{errBroken, 503, "temporary"},
		{context.DeadlineExceeded, 503, "temporary"},
	} {
		h, s, url := newHTTP(t, nil)
		s.fail(c.err)
		resp, got := do(t, "POST", url+"/v1/messages", `{"topic":"a","payload":1}`+"\n"+`{"topic":"b","payload":1}`, ndjson)
		if resp.StatusCode != c.status || got.Code != c.code {
			t.Errorf("%v: got %s %+v, want %d", c.err, resp.Status, got, c.status)
		}
		if retry := resp.Header.Get("Retry-After"); (retry != "") != (c.status == 503) {
			t.Errorf("%v: got Retry-After %q", c.err, retry)
		}
		if st := h.Status(); st.Refused != 2 || !strings.Contains(st.Error, c.err.Error()) {
			t.Errorf("%v: got status %+v", c.err, st)
		}
	}
}

func TestHTTPAnswerWaitsForTheCommit(t *testing.T) {
	s := &sink{}
	s.block()
	h, err := source.NewHTTP(source.HTTPConfig{Address: "127.0.0.1:0", Sink: s})
	if err != nil {
		t.Fatal(err)
	}
	address, stop := start(t, h)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/messages/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
	<-s.entered
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 {
		t.Errorf("got an answer before the commit: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	time.AfterFunc(50*time.Millisecond, func() { s.gate <- struct{}{} })
	stop() // a stop lets the request end well
	line, _ := bufio.NewReader(c).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 202") {
		t.Errorf("got %q, want 202", line)
	}
}

func TestHTTPToken(t *testing.T) {
	_, s, url := newHTTP(t, func(cfg *source.HTTPConfig) { cfg.Token = "0123456789abcdef" })
	for header, want := range map[string]int{
		"":                                       401,
		"Authorization: Bearer wrong":            401,
		"Authorization: Basic 0123456789abcdef":  401,
		"Authorization: Bearer 0123456789abcdef": 202,
	} {
		resp, _ := do(t, "POST", url+"/v1/messages/a", "x", header)
		if resp.StatusCode != want || (resp.Header.Get("WWW-Authenticate") != "") != (want == 401) {
			t.Errorf("%q: got %s with %q, want %d", header, resp.Status, resp.Header.Get("WWW-Authenticate"), want)
		}
	}
	if got := len(s.all()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestHTTPHosts(t *testing.T) {
	_, _, url := newHTTP(t, func(cfg *source.HTTPConfig) { cfg.Hosts = []string{"pump.example"} })
	for host, want := range map[string]int{
		"localhost:1": 202, "127.0.0.1": 202, "127.9.9.9:80": 202, "[::1]:80": 202,
		"pump.example": 202, "PUMP.example.:8081": 202, "pump.example.evil.example": 403, "10.0.0.1": 403,
	} {
		resp, _ := do(t, "POST", url+"/v1/messages/a", "x", "Host: "+host)
		if resp.StatusCode != want {
			t.Errorf("%s: got %s, want %d", host, resp.Status, want)
		}
	}
}

func TestHTTPBodyThatBreaksOff(t *testing.T) {
	h, s, url := newHTTP(t, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/messages/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
	c.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	c.Close()
	if !strings.HasPrefix(string(answer), "HTTP/1.1 400") || len(s.all()) != 0 || h.Status().Refused != 1 {
		t.Errorf("got %q, %d messages and status %+v, want 400 and none", answer, len(s.all()), h.Status())
	}
}

func TestHTTPLongHeader(t *testing.T) {
	_, s, url := newHTTP(t, nil)
	resp, err := http.Post(url+"/v1/messages/"+strings.Repeat("x", 20000), "", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 431 || len(s.all()) != 0 {
		t.Errorf("got %s, want 431", resp.Status)
	}
}

// TestBatchesAreFewAtATime has more batches come at once than there is memory for.
func TestBatchesAreFewAtATime(t *testing.T) {
	const batches, most = 20, 8
	_, s, url := newHTTP(t, influx(t, "{measurement}"))
	s.block()
	var group sync.WaitGroup
	for i := range batches {
		group.Go(func() {
			path, body := "/v1/messages", `{"topic":"a","payload":"1"}`
			if i%2 == 0 {
				path, body = "/v1/influx", "m v=1"
			}
			if resp, a := do(t, "POST", url+path, body, ndjson); resp.StatusCode != http.StatusAccepted {
				t.Errorf("a batch got %s: %s, want it taken in its turn", resp.Status, a.Error)
			}
		})
	}
	for range most {
		<-s.entered
	}
	select {
	case <-s.entered:
		t.Errorf("more than %d batches are on their way at a time", most)
	case <-time.After(50 * time.Millisecond):
	}
	group.Go(func() {
		if resp, _ := do(t, "POST", url+"/v1/messages/single", "1"); resp.StatusCode != http.StatusAccepted {
			t.Errorf("a single message got %s, want it taken beside the batches", resp.Status)
		}
	})
	<-s.entered // the single one has no turn to wait for
	for range batches + 1 {
		s.gate <- struct{}{}
	}
	group.Wait()
	if got, want := len(s.all()), batches+1; got != want {
		t.Errorf("got %d messages, want %d", got, want)
	}
}
