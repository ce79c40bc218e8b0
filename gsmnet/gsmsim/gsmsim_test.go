package gsmsim_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// host is a person with a terminal on the module's serial line, inside a bubble.
type host struct {
	t    *testing.T
	m    *gsmsim.Module
	wire *gsmsim.Wire

	mu   sync.Mutex
	seen []byte // received and not looked at yet
	fed  chan struct{}
}

// plug makes a module and a host for it; both end with the test.
func plug(t *testing.T, cfg gsmsim.Config) *host {
	t.Helper()
	m := gsmsim.New(cfg)
	h := &host{t: t, m: m, wire: m.Wire(), fed: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := h.wire.Read(b)
			if err != nil {
				return
			}
			h.mu.Lock()
			h.seen = append(h.seen, b[:n]...)
			h.mu.Unlock()
			select {
			case h.fed <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		m.Close()
		<-done
	})
	return h
}

// booted is plug at a fixed speed that waits for the end of the boot and switches both echoes off.
func booted(t *testing.T, cfg gsmsim.Config) *host {
	t.Helper()
	if cfg.Baud == 0 {
		cfg.Baud = 115200
	}
	h := plug(t, cfg)
	h.until("Call Ready\r\n", 20*time.Second)
	time.Sleep(5 * time.Second)
	h.do("ATE0", "ATE0\r\r\nOK\r\n")
	h.do("AT+QISDE=0", "\r\nOK\r\n")
	return h
}

// online is booted with a context.
func online(t *testing.T, cfg gsmsim.Config, settings ...string) *host {
	t.Helper()
	h := booted(t, cfg)
	for _, s := range append([]string{`AT+QICSGP=1,"internet"`}, settings...) {
		h.do(s, "\r\nOK\r\n")
	}
	h.do("AT+QIREGAPP", "\r\nOK\r\n")
	time.Sleep(200 * time.Millisecond)
	h.do("AT+QIACT", "\r\nOK\r\n")
	h.do("AT+QILOCIP", "\r\n10.64.0.2\r\n")
	return h
}

// connected is online with a connection to the server at addr.
func (h *host) open(protocol, addr string) {
	h.t.Helper()
	name, port, _ := net.SplitHostPort(addr)
	h.write(fmt.Sprintf("AT+QIOPEN=%q,%q,%q\r", protocol, name, port))
	h.wait("\r\nOK\r\n\r\nCONNECT OK\r\n", 10*time.Second)
}

func (h *host) write(s string) {
	h.t.Helper()
	if _, err := h.wire.Write([]byte(s)); err != nil {
		h.t.Fatalf("Write(%q): %v", s, err)
	}
}

// take removes what was received.
func (h *host) take() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := string(h.seen)
	h.seen = nil
	return s
}

// until waits for text and removes all up to its end, which it returns.
func (h *host) until(text string, limit time.Duration) string {
	h.t.Helper()
	deadline := time.After(limit)
	for {
		h.mu.Lock()
		s := string(h.seen)
		if i := strings.Index(s, text); i >= 0 {
			h.seen = h.seen[i+len(text):]
			h.mu.Unlock()
			return s[:i+len(text)]
		}
		h.mu.Unlock()
		select {
		case <-h.fed:
		case <-deadline:
			h.t.Fatalf("after %v: got %q, want %q in it", limit, s, text)
		}
	}
}

// wait is until for exactly text.
func (h *host) wait(text string, limit time.Duration) {
	h.t.Helper()
	if got := h.until(text, limit); got != text {
		h.t.Fatalf("got %q, want %q", got, text)
	}
}

// do sends a command and compares all that comes back until it has been quiet for a while.
func (h *host) do(command, want string) {
	h.t.Helper()
	h.write(command + "\r")
	h.wait(want, 3*time.Minute)
	h.quiet(50 * time.Millisecond)
}

// quiet checks that nothing comes for d.
func (h *host) quiet(d time.Duration) {
	h.t.Helper()
	time.Sleep(d)
	if got := h.take(); got != "" {
		h.t.Fatalf("got %q, want silence", got)
	}
}

// send sends data with the fixed-length AT+QISEND.
func (h *host) send(data string) {
	h.t.Helper()
	h.write(fmt.Sprintf("AT+QISEND=%d\r", len(data)))
	h.wait("\r\n> ", time.Second)
	h.write(data)
	h.wait("\r\nSEND OK\r\n", 5*time.Second)
}

// server accepts in-memory connections for Config.Dial.
type server struct {
	conns chan net.Conn
}

func newServer() *server { return &server{conns: make(chan net.Conn, 16)} }

func (s *server) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	s.conns <- far
	return near, nil
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newServer()
		h := online(t, gsmsim.Config{Dial: s.dial}, "AT+QINDI=1")
		h.open("TCP", "192.0.2.1:1883")
		conn := <-s.conns
		h.send("hello")
		b := make([]byte, 16)
		n, err := conn.Read(b)
		if got := string(b[:n]); got != "hello" || err != nil {
			t.Fatalf("server got %q, %v", got, err)
		}
		h.do("AT+QISACK", "\r\n+QISACK: 5, 0, 5\r\n\r\nOK\r\n")
		time.Sleep(time.Second)
		h.do("AT+QISACK", "\r\n+QISACK: 5, 5, 0\r\n\r\nOK\r\n")
		conn.Write([]byte("answer"))
		h.wait("\r\n+QIRDI: 0,1,0\r\n", 5*time.Second)
		h.do("AT+QIRD=0,1,0,1024", "\r\n+QIRD: 192.0.2.1:1883,TCP,6\r\nanswer\r\nOK\r\n")
		h.do("AT+QIRD=0,1,0,1024", "\r\nOK\r\n")
		h.do("AT+QICLOSE", "\r\nCLOSE OK\r\n")
		if n, err := conn.Read(b); n != 0 || err == nil {
			t.Fatalf("after QICLOSE the server read %d bytes, %v", n, err)
		}
		h.do("AT+QIDEACT", "\r\nDEACT OK\r\n")
		t.Logf("%+v", h.m.Stats())
	})
}
