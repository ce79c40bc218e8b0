package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// collect makes Put hand its messages to the test.
func collect(got *[]queue.Message) func(*control.Config) {
	return func(c *control.Config) {
		c.QoS = 1
		c.MaxPayload = 100
		c.Put = func(_ context.Context, m queue.Message) (uint64, error) {
			*got = append(*got, m)
			return uint64(len(*got)), nil
		}
	}
}

func TestSend(t *testing.T) {
	var got []queue.Message
	client := start(t, collect(&got))
	two := byte(2)
	for _, send := range []struct {
		payload string
		opts    control.SendOptions
	}{
		{"4.2", control.SendOptions{}},
		{"", control.SendOptions{QoS: &two, Retain: true, Lane: queue.Alarm}},
	} {
		seq, err := client.Send(t.Context(), "pump-07/pressure", []byte(send.payload), send.opts)
		if err != nil || seq != uint64(len(got)) {
			t.Errorf("Send: got %d, %v, want %d", seq, err, len(got))
		}
	}
	want := []queue.Message{
		{Topic: "pump-07/pressure", QoS: 1, Payload: []byte("4.2"), Source: "send"},
		{Topic: "pump-07/pressure", QoS: 2, Retain: true, Lane: queue.Alarm, Payload: []byte{}, Source: "send"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// What an HTTP path would clean or decode must reach the queue as it was given.
func TestSendKeepsTheTopic(t *testing.T) {
	var got []queue.Message
	client := start(t, collect(&got))
	for _, topic := range []string{"a", "a/b", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a b", "a%2Fb", "a?b&c=d", "temp/°C", "a;b:c\\d\"e"} {
		got = nil
		if _, err := client.Send(t.Context(), topic, nil, control.SendOptions{}); err != nil {
			t.Errorf("Send to %q: %v", topic, err)
			continue
		}
		if got[0].Topic != topic {
			t.Errorf("topic: got %q, want %q", got[0].Topic, topic)
		}
	}
}

func TestSendRefusesWrongTopics(t *testing.T) {
	var got []queue.Message
	client := start(t, collect(&got))
	for _, topic := range []string{"", "a/#", "+/b", "a\x00b", "a\xff", strings.Repeat("x", 65536)} {
		_, err := client.Send(t.Context(), topic, nil, control.SendOptions{})
		var refusal *control.Error
		if !errors.As(err, &refusal) || refusal.Code != control.CodeInvalid || refusal.Temporary() {
			t.Errorf("Send to %.20q: got %v, want code invalid", topic, err)
		}
	}
	if len(got) > 0 {
		t.Errorf("stored all the same: %v", got)
	}
}

func TestSendLongestTopic(t *testing.T) {
	var got []queue.Message
	client := start(t, collect(&got))
	topic := strings.Repeat("/", 65535) // each byte is escaped to three
	if _, err := client.Send(t.Context(), topic, nil, control.SendOptions{}); err != nil {
		t.Fatal(err)
	}
	if got[0].Topic != topic {
		t.Errorf("topic: got %d bytes, want %d", len(got[0].Topic), len(topic))
	}
}

func TestSendBoundsThePayload(t *testing.T) {
	var got []queue.Message
	client := start(t, collect(&got))
	if _, err := client.Send(t.Context(), "a", make([]byte, 100), control.SendOptions{}); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	_, err := client.Send(t.Context(), "a", make([]byte, 101), control.SendOptions{})
	var refusal *control.Error
	if !errors.As(err, &refusal) || refusal.Code != control.CodeTooLarge || !strings.Contains(refusal.Message, "100 bytes") {
		t.Errorf("over the limit: got %v, want code too_large with the limit", err)
	}
	if len(got) != 1 {
		t.Errorf("stored %d messages, want the first alone", len(got))
	}
}

func TestSendTellsWhyNot(t *testing.T) {
	for _, test := range []struct {
		err       error
		code      control.Code
		temporary bool
	}{
		{fmt.Errorf("agent: %w", queue.ErrInvalid), control.CodeInvalid, false},
		{&source.Refusal{Reason: source.Invalid, Err: errors.New("source: topic begins with $")}, control.CodeInvalid, false},
		{&queue.TooLargeError{Size: 9, Max: 8}, control.CodeTooLarge, false},
		{queue.ErrFull, control.CodeFull, true},
		{queue.ErrDiskFull, control.CodeFull, true},
		{queue.ErrClosed, control.CodeTemporary, true},
		{queue.ErrReadOnly, control.CodeTemporary, true},
		{context.Canceled, control.CodeTemporary, true},
	} {
		client := start(t, func(c *control.Config) {
			c.Put = func(context.Context, queue.Message) (uint64, error) { return 0, test.err }
		})
		_, err := client.Send(t.Context(), "a", nil, control.SendOptions{})
		var refusal *control.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%v: got %v, want a refusal", test.err, err)
			continue
		}
		want := control.Error{Code: test.code, Message: test.err.Error()}
		if *refusal != want || refusal.Temporary() != test.temporary {
			t.Errorf("got %+v, temporary %v, want %+v, %v", *refusal, refusal.Temporary(), want, test.temporary)
		}
	}
}

// post speaks to the socket as curl would.
func post(t *testing.T, socket, method, target string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://agent"+target, bytes.NewReader([]byte("1")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestRawRequests(t *testing.T) {
	var got []queue.Message
	cfg := config(filepath.Join(t.TempDir(), "control.sock"))
	collect(&got)(&cfg)
	run(t, cfg)
	for _, test := range []struct {
		method, target string
		status         int
		body           string
	}{
		{"POST", "/v1/messages/pump-07/pressure?qos=0&lane=bulk&retain=1", 202, `{"seq":1}`},
		{"POST", "/v1/messages/a?qos=3", 400, `qos \"3\" is none of 0, 1, 2`},
		{"POST", "/v1/messages/a?qos=", 400, `"invalid"`},
		{"POST", "/v1/messages/a?retain=perhaps", 400, `neither true nor false`},
		{"POST", "/v1/messages/a?lane=fast", 400, `alarm, normal and bulk`},
		{"POST", "/v1/messages/a?lanes=bulk", 400, `\"lanes\" is none of qos, retain, lane`},
		{"POST", "/v1/messages/", 400, `the topic is empty`},
		{"POST", "/v1/messages/%23", 400, `wildcard`},
		{"GET", "/v1/messages/a", 405, ""},
		{"POST", "/v1/status", 405, ""},
		{"GET", "/v2/status", 404, ""},
	} {
		status, body := post(t, cfg.Path, test.method, test.target)
		if status != test.status || !strings.Contains(body, test.body) {
			t.Errorf("%s %s: got %d %s, want %d with %s", test.method, test.target, status, body, test.status, test.body)
		}
	}
	want := []queue.Message{{Topic: "pump-07/pressure", QoS: 0, Retain: true, Lane: queue.Bulk, Payload: []byte("1"), Source: "send"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// A command whose message is being written when the agent is told to stop still learns that it is on disk.
func TestStopLetsACommitFinish(t *testing.T) {
	cfg := config(filepath.Join(t.TempDir(), "control.sock"))
	begun, commit := make(chan struct{}), make(chan struct{})
	cfg.Put = func(context.Context, queue.Message) (uint64, error) {
		close(begun)
		<-commit
		return 42, nil
	}
	client, stop := run(t, cfg)
	type answer struct {
		seq uint64
		err error
	}
	answers := make(chan answer)
	go func() {
		seq, err := client.Send(context.Background(), "a", nil, control.SendOptions{})
		answers <- answer{seq, err}
	}()
	<-begun
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	for {
		if _, err := client.Status(t.Context()); errors.Is(err, control.ErrNotRunning) {
			break // the stop has begun
		}
	}
	close(commit)
	if got := <-answers; got.err != nil || got.seq != 42 {
		t.Errorf("Send: got %d, %v, want 42", got.seq, got.err)
	}
	<-stopped
}

func TestAnswerOfSomethingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			http.Error(w, "what?", http.StatusTeapot)
			return
		}
		fmt.Fprint(w, "hello")
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(l) }()
	defer func() { srv.Close(); <-ended }()
	client := control.NewClient(path)
	if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("Status: got %v, want a hint at another version", err)
	}
	if _, err := client.QueueStats(t.Context()); err == nil || !strings.Contains(err.Error(), "can't be read") {
		t.Errorf("QueueStats: got %v, want an unreadable answer", err)
	}
}
