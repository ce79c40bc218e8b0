package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

func to[T any](v T) *T { return &v }

// healthy is the status of an agent that works, at the moment now.
func healthy(now time.Time) agent.Status {
	st := agent.Status{
		Schema: agent.StatusSchema, Version: "1.2.3", Device: "pump-07", Running: true, Time: now, StartedAt: to(now.Add(-3 * time.Hour)),
		Verdict: agent.VerdictOK, Reason: "connected for 2 h; 3 messages wait",
		Link: agent.LinkStatus{
			Kind: "modem", Connected: true, Since: now.Add(-2 * time.Hour), Broker: "mqtts://broker.example:8883",
			Sessions: 4, BytesUp: 2048, BytesDown: 1024,
			Modem: &agent.ModemStatus{Model: "M95", Operator: "Example Mobile", SignalDBm: to(-79), Registration: "home", IP: "10.0.0.7"},
		},
		Queue: agent.QueueStatus{
			Messages: 3, Bytes: 512 << 10, MaxBytes: 1 << 20, FileBytes: 2 << 20, OldestAt: to(now.Add(-90 * time.Second)),
			Lanes: map[string]uint64{"alarm": 1, "normal": 2, "bulk": 0}, Dropped: map[string]uint64{"expired": 12},
		},
		Encoding: agent.EncodingStatus{Format: agent.FormatBatch, Published: 1004, Messages: 48214, BytesIn: 4_200_000, BytesOut: 910_000},
		Delivery: agent.DeliveryStatus{Accepted: 48211, Refused: 5, Delivered: 48208, Repeated: 6, InFlight: 2, LastDeliveredAt: to(now.Add(-4 * time.Second))},
		Sources: []agent.SourceStatus{
			{Name: "mqtt", Address: "127.0.0.1:1884", Accepted: 48100, LastAt: to(now.Add(-2 * time.Second)), LastTopic: "pump-07/pressure"},
			{Name: "http", Address: "127.0.0.1:8081", Accepted: 111, Refused: 5, Error: "the port is taken"},
		},
		Outages: []agent.Outage{
			{From: now.Add(-150 * time.Minute), Until: to(now.Add(-2 * time.Hour)), Cause: agent.CauseSearching, Why: "searching for a network"},
		},
	}
	for _, step := range []agent.Step{agent.StepPower, agent.StepSIM, agent.StepRegistration, agent.StepMQTT} {
		st.Link.Steps = append(st.Link.Steps, agent.StepStatus{Step: step, State: agent.StepOK, Since: now.Add(-2 * time.Hour)})
	}
	return st
}

// searching is the status of an agent without coverage.
func searching(now time.Time) agent.Status {
	st := healthy(now)
	st.Verdict, st.Reason = agent.VerdictConnecting, "registration: searching for 12 min; 3 messages wait"
	st.Link.Connected, st.Link.Since = false, now.Add(-12*time.Minute)
	st.Link.RetryAt = to(now.Add(95 * time.Second))
	st.Link.Steps[2] = agent.StepStatus{Step: agent.StepRegistration, State: agent.StepWaiting, Since: now.Add(-12 * time.Minute), Why: "searching for a network"}
	st.Link.Steps[3] = agent.StepStatus{Step: agent.StepMQTT, State: agent.StepIdle, Since: now.Add(-12 * time.Minute)}
	return st
}

// board holds the status that a server shows, for the test to change.
type board struct {
	mu sync.Mutex
	st agent.Status
}

func (b *board) set(st agent.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.st = st
}

// status is the one that was set, at the present moment.
func (b *board) status() agent.Status { return b.at(time.Now()) }

// at is the one that was set, at another moment.
func (b *board) at(now time.Time) agent.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.st
	st.Time = now
	if m := st.Link.Modem; m != nil {
		own := *m
		st.Link.Modem = &own
	}
	return st
}

func newServer(t *testing.T, cfg web.Config) *web.Server {
	t.Helper()
	if cfg.Status == nil {
		st := healthy(time.Now())
		cfg.Status = func() agent.Status { return st }
	}
	s, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request to a server's handler; change may adjust it.
func ask(s *web.Server, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// pipes is a listener in memory, so that a server runs inside a bubble of virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, errors.New("pipes: closed")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve runs a server on a listener in memory until the test ends and returns a client of it.
func serve(t *testing.T, s *web.Server) (client *http.Client, stop func()) {
	t.Helper()
	l := newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx, l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	transport := &http.Transport{DialContext: l.dial}
	stop = func() {
		cancel()
		<-ended
		transport.CloseIdleConnections()
	}
	t.Cleanup(stop)
	return &http.Client{Transport: transport}, stop
}

// event is one server-sent event as a client reads it.
type event struct{ name, data string }

// events reads a stream.
type events struct {
	body io.Closer
	in   *bufio.Reader
}

func follow(t *testing.T, client *http.Client, path string) *events {
	t.Helper()
	resp, err := client.Get("http://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resp.Header.Get("Content-Type"), "text/event-stream"; resp.StatusCode != 200 || got != want {
		t.Fatalf("GET %s: got %s, %s, want 200, %s", path, resp.Status, got, want)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return &events{resp.Body, bufio.NewReader(resp.Body)}
}

// next reads the next event as the standard says, so that data with a stray line end shows as what it would be.
func (e *events) next() (event, error) {
	var ev event
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			return ev, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
			return ev, nil
		case strings.Contains(line, "\r"):
			return ev, errors.New("a carriage return ends a line early: " + line)
		case field == "event" && ev.name == "":
			ev.name = value
		case field == "data" && ev.data == "":
			ev.data = value
		default:
			return ev, errors.New("unexpected line: " + line)
		}
	}
}
