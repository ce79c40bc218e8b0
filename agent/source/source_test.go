package source_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/queue"
	"golang.org/x/crypto/bcrypt"
)

func Example() {
	limits := source.Limits{MaxPayload: 100}
	err := limits.Check(queue.Message{Topic: "pump/+/level", Payload: []byte("3.1")})
	fmt.Println(err)
	fmt.Println(source.ReasonOf(err) == source.Invalid)
	// Output:
	// queue: invalid message: topic "pump/+/level" holds a wildcard (+ or #), which only subscriptions may
	// true
}

func TestCheck(t *testing.T) {
	limits := source.Limits{MaxPayload: 4}
	for _, m := range []queue.Message{
		{Topic: "a"}, {Topic: "/"}, {Topic: "a//b", QoS: 2}, {Topic: "a b/ü/$c", Payload: []byte("1234")},
		{Topic: strings.Repeat("x", 65535)},
	} {
		if err := limits.Check(m); err != nil {
			t.Errorf("%.20q: got %v, want nil", m.Topic, err)
		}
	}
	for _, c := range []struct {
		m      queue.Message
		reason source.Reason
		want   string
	}{
		{queue.Message{}, source.Invalid, "empty"},
		{queue.Message{Topic: "a/#"}, source.Invalid, "wildcard"},
		{queue.Message{Topic: "+"}, source.Invalid, "wildcard"},
		{queue.Message{Topic: "a\x00"}, source.Invalid, "NUL"},
		{queue.Message{Topic: "a\xff"}, source.Invalid, "UTF-8"},
		{queue.Message{Topic: strings.Repeat("x", 65536)}, source.Invalid, "65535"},
		{queue.Message{Topic: "$SYS/x"}, source.Invalid, "begins with $"},
		{queue.Message{Topic: "a\n"}, source.Invalid, "control character"},
		{queue.Message{Topic: "a\u0085"}, source.Invalid, "control character"},
		{queue.Message{Topic: "a\ufffe"}, source.Invalid, "no character (byte 1)"},
		{queue.Message{Topic: "a\ufdd0"}, source.Invalid, "no character"},
		{queue.Message{Topic: "a", QoS: 3}, source.Invalid, "QoS is 3"},
		{queue.Message{Topic: "a", Payload: []byte("12345")}, source.TooLarge, "5 bytes; at most 4"},
	} {
		err := limits.Check(c.m)
		if err == nil || !strings.Contains(err.Error(), c.want) || source.ReasonOf(err) != c.reason {
			t.Errorf("%.20q: got %v, want %q", c.m.Topic, err, c.want)
		}
	}
	if err := (source.Limits{}).Check(queue.Message{Topic: "a", Payload: make([]byte, source.DefaultMaxPayload+1)}); err == nil {
		t.Error("no limit by default")
	}
}

func TestReasonOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want source.Reason
	}{
		{fmt.Errorf("x: %w", queue.ErrInvalid), source.Invalid},
		{fmt.Errorf("x: %w", &queue.TooLargeError{Size: 2, Max: 1}), source.TooLarge},
		{queue.ErrFull, source.Full},
		{queue.ErrDiskFull, source.Full},
		{queue.ErrReadOnly, source.Temporary},
		{queue.ErrClosed, source.Temporary},
		{queue.ErrFailed, source.Temporary},
		{context.DeadlineExceeded, source.Temporary},
		{&source.Refusal{Reason: source.Invalid, Err: queue.ErrFull}, source.Invalid},
	} {
		if got := source.ReasonOf(c.err); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
}

func TestPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	address := ln.Addr().String()
	m, err := source.NewMQTT(source.MQTTConfig{Address: address, Sink: &sink{}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := source.NewHTTP(source.HTTPConfig{Address: address, Sink: &sink{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []runner{m, h} {
		err := s.Run(t.Context())
		want := "source: sources." + s.Name() + ".listen: " + address + " is in use by another program"
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if got := s.Status().Error; !strings.HasPrefix(got, want) {
			t.Errorf("got status %q, want %s", got, want)
		}
	}
}

// stumbling fails the first calls of Accept, as when descriptors run out.
type stumbling struct {
	net.Listener
	left int
}

func (l *stumbling) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestListenersSurviveErrorsOfAccept(t *testing.T) {
	listen := func(ctx context.Context, address string) (net.Listener, error) {
		ln, err := net.Listen("tcp", address)
		return &stumbling{ln, 3}, err
	}
	m, err := source.NewMQTT(source.MQTTConfig{Address: "127.0.0.1:0", Sink: &sink{}, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	address, _ := start(t, m)
	dialRaw(t, address).connect("c")
}

func TestUsersFile(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	slow := strings.Replace(string(hash), "$04$", "$13$", 1)
	for text, want := range map[string]string{
		"":                                  "names no user",
		"# pump:x\n\n":                      "names no user",
		"\npump\n":                          "users:2: not NAME:HASH",
		":" + string(hash):                  "users:1: not NAME:HASH",
		"pump:hunter2":                      "users:1: what follows the name is not a bcrypt hash",
		"pump:" + slow:                      "cost 13, at most 12",
		"pump:" + string(hash) + ":a/#":     "prefix is not a topic",
		"a:" + string(hash) + "\na:" + slow: "users:2: the hash has cost",
		strings.Repeat("a:"+string(hash)+"\n", 2): "users:2: this user has a line already",
	} {
		_, err := source.ParseUsers("users", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := source.LoadUsers(t.TempDir() + "/absent"); err == nil {
		t.Error("a missing file is no error")
	}
}
