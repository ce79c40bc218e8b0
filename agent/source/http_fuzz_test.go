package source_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/source"
)

// FuzzHTTP sends anything to the HTTP listener. The process survives, other clients are served, and what was accepted is fit for
// a broker.
func FuzzHTTP(f *testing.F) {
	for _, seed := range []string{
		"POST /v1/messages/a/b?qos=1&lane=alarm&retain=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
		"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 27\r\n\r\n{\"topic\":\"a\",\"payload\":\"1\"}",
		"POST /v1/influx?precision=s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18\r\n\r\nm,t=1 v=2.5,w=3i 1",
		"POST /v1/messages/%00%2b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"POST /v1/messages/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	limits := source.Limits{MaxPayload: 1000}
	s := &sink{}
	p := newPipes()
	h, err := source.NewHTTP(source.HTTPConfig{Address: "memory", Sink: s, Limits: limits,
		Listen: func(context.Context, string) (net.Listener, error) { return p, nil }})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := p.dial()
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, c)
		}()
		c.Write(data) // fails if the source has hung up: its right
		c.Close()
		<-read

		healthy := p.dial()
		defer healthy.Close()
		healthy.SetDeadline(time.Now().Add(patience))
		const request = "POST /v1/messages/healthy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx"
		if _, err := io.WriteString(healthy, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(healthy), nil)
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("a healthy client: got %v, %v", resp, err)
		}
		for _, msg := range s.take() {
			if err := limits.Check(msg); err != nil {
				t.Errorf("accepted: %v", err)
			}
		}
	})
}

// FuzzUsers reads anything as a file of users: nobody gets in whom it doesn't name.
func FuzzUsers(f *testing.F) {
	f.Add([]byte("pump:$2y$05$......................................................:plant/\n# x\n\nall:$2a$04$"))
	f.Add([]byte(":\n::\na:b:c:d"))
	f.Fuzz(func(t *testing.T, data []byte) {
		users, err := source.ParseUsers("users", data)
		if err == nil && users == nil {
			t.Error("neither users nor an error")
		}
	})
}
