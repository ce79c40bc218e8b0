package source_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/queue"
)

// newMQTT starts a listener with a sink; change may alter its configuration.
func newMQTT(t *testing.T, change func(*source.MQTTConfig)) (*source.MQTT, *sink, string) {
	t.Helper()
	s := &sink{}
	cfg := source.MQTTConfig{Address: "127.0.0.1:0", Sink: s, QoS: 2}
	if change != nil {
		change(&cfg)
	}
	m, err := source.NewMQTT(cfg)
	if err != nil {
		t.Fatal(err)
	}
	address, _ := start(t, m)
	return m, s, address
}

func TestPahoClients(t *testing.T) {
	const clients, each = 4, 25
	m, s, address := newMQTT(t, nil)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID(fmt.Sprint("client", c)).SetAutoReconnect(false))
			if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
				t.Errorf("connect: %v", token.Error())
				return
			}
			defer client.Disconnect(100)
			for i := range each {
				token := client.Publish(fmt.Sprint("t/", c), byte(i%3), i == 0, fmt.Sprint(i))
				if !token.WaitTimeout(patience) || token.Error() != nil {
					t.Errorf("publish: %v", token.Error())
					return
				}
			}
			// At QoS 0 nothing says when it has arrived: the ping comes after.
			if token := client.Publish(fmt.Sprint("t/", c), 1, false, "last"); !token.WaitTimeout(patience) {
				t.Error("no PUBACK")
			}
		})
	}
	all.Wait()
	next := make(map[string]int)
	for _, got := range s.all() {
		i := next[got.Topic]
		next[got.Topic]++
		if i == each {
			continue
		}
		if string(got.Payload) != fmt.Sprint(i) || got.QoS != 2 || got.Retain != (i == 0) || got.Source != "mqtt:client"+got.Topic[2:] {
			t.Fatalf("got %+v, want number %d", got, i)
		}
	}
	if got, want := len(s.all()), clients*(each+1); got != want {
		t.Errorf("got %d messages, want %d", got, want)
	}
	status := m.Status()
	if status.Accepted != clients*(each+1) || status.Refused != 0 || status.LastAt == nil || !strings.HasPrefix(status.LastTopic, "t/") || status.Error != "" {
		t.Errorf("got status %+v", status)
	}
}

func TestAcknowledgementWaitsForTheCommit(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		_, s, address := newMQTT(t, nil)
		s.block()
		c := dialRaw(t, address).connect("c")
		c.send(publishPacket(qos, 0, 7, "t", "x"))
		<-s.entered
		c.wantSilence()
		s.gate <- struct{}{}
		if qos == 1 {
			c.want(0x40, 2, 0, 7)
		} else {
			c.want(0x50, 2, 0, 7)
		}
	}
}

func TestClientsCommitAtTheSameTime(t *testing.T) {
	_, s, address := newMQTT(t, nil)
	s.block()
	a, b := dialRaw(t, address).connect("a"), dialRaw(t, address).connect("b")
	a.send(publishPacket(1, 0, 1, "t", "a"))
	b.send(publishPacket(1, 0, 1, "t", "b"))
	<-s.entered
	<-s.entered // both wait in Accept
	s.gate <- struct{}{}
	s.gate <- struct{}{}
	a.want(0x40, 2, 0, 1)
	b.want(0x40, 2, 0, 1)
}

// Nothing is acknowledged that the sink refuses, whatever the error, and what
// the client has sent behind it doesn't overtake it.
func TestRefusedMessageEndsTheConnection(t *testing.T) {
	for _, err := range []error{errBroken, queue.ErrFull, queue.ErrClosed} {
		for qos := range byte(3) {
			m, s, address := newMQTT(t, nil)
			s.block()
			c := dialRaw(t, address).connect("c")
			c.send(publishPacket(qos, 0, 1, "t", "first"), publishPacket(qos, 0, 2, "t", "second"))
			<-s.entered
			s.fail(err)
			s.gate <- struct{}{}
			c.wantClosed()
			eventually(t, "the count", func() bool { return m.Status().Refused == 1 })
			s.fail(nil)
			s.gate <- struct{}{}
			// It comes back and is served; "second" wasn't taken before "first".
			again := dialRaw(t, address).connect("c")
			again.send(publishPacket(1, 1, 1, "t", "first"))
			again.want(0x40, 2, 0, 1)
			if got := s.all(); len(got) != 1 || string(got[0].Payload) != "first" {
				t.Errorf("QoS %d, %v: got %+v, want the first message alone", qos, err, got)
			}
			if st := m.Status(); st.Accepted != 1 || st.Refused != 1 {
				t.Errorf("got status %+v, want 1 accepted and 1 refused", st)
			}
		}
	}
}

func TestSlowCommitIsGivenUpWithinTheKeepalive(t *testing.T) {
	_, s, address := newMQTT(t, nil)
	s.block()
	c := dialRaw(t, address)
	c.send(connectPacket(4, cleanSession, 1, "c"))
	c.want(0x20, 2, 0, 0)
	c.send(publishPacket(1, 0, 1, "t", "x"))
	c.wantClosed() // Accept returns by its context only
}

func TestBadMessagesEndTheConnection(t *testing.T) {
	for _, c := range []struct{ topic, payload, want string }{
		{"a/+", "", "wildcard"},
		{"", "", "empty"},
		{"$SYS/x", "", "begins with $"},
		{"a\n", "", "control character"},
		{"a", strings.Repeat("x", 101), "at most 100"},
	} {
		for _, qos := range []byte{0, 1} {
			m, s, address := newMQTT(t, func(cfg *source.MQTTConfig) { cfg.Limits.MaxPayload = 100 })
			conn := dialRaw(t, address).connect("c")
			conn.send(publishPacket(qos, 0, 1, c.topic, c.payload))
			conn.wantClosed()
			if st := m.Status(); st.Refused != 1 || !strings.Contains(st.Error, c.want) || len(s.all()) != 0 {
				t.Errorf("topic %q: got status %+v and %d messages, want %q", c.topic, st, len(s.all()), c.want)
			}
		}
	}
}

// What can't be parsed, or is out of turn, ends its own connection only.
func TestMalformedPackets(t *testing.T) {
	_, s, address := newMQTT(t, func(cfg *source.MQTTConfig) { cfg.Limits.MaxPayload = 100; cfg.MaxClients = 8 })
	healthy := dialRaw(t, address).connect("healthy")
	first := map[string][]byte{
		"no CONNECT":           publishPacket(0, 0, 0, "t", "x"),
		"noise":                []byte("\x00\xff\xff\xffGET / HTTP/1.1\r\n\r\n"),
		"length of five bytes": {0x10, 0xff, 0xff, 0xff, 0xff, 0xff},
		"256 MiB":              {0x10, 0xff, 0xff, 0xff, 0x7f},
		"empty CONNECT":        packet(0x10),
		"truncated CONNECT":    packet(0x10, str("MQTT"), []byte{4}),
		"reserved flag":        connectPacket(4, cleanSession|1, 60, "x"),
	}
	for name, bytes := range first {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, address)
			c.send(bytes)
			_, err := io.ReadAll(c.in) // some are told, all are cut
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Error(err)
			}
		})
	}
	later := map[string][]byte{
		"truncated SUBSCRIBE":     {0x82, 0x03, 0x00, 0x01, 0x00},
		"SUBSCRIBE of MQTT 5":     {0x82, 0x06, 0x00, 0x01, 0x00, 0x00, 0x01, 'a'},
		"SUBSCRIBE without QoS":   packet(0x82, []byte{0, 1}, str("a")),
		"truncated PUBLISH":       {0x32, 0x02, 0x00, 0x05},
		"PUBLISH without id":      publishPacket(1, 0, 0, "t", "x"),
		"PUBLISH at QoS 3":        packet(0x36, str("t"), []byte{0, 1}),
		"topic that isn't UTF-8":  publishPacket(1, 0, 1, "\xff\xfe", "x"),
		"packet above all limits": {0x32, 0xff, 0xff, 0x7f},
		"second CONNECT":          connectPacket(4, cleanSession, 60, "x"),
		"type 0":                  {0x00, 0x00},
		"type 15":                 {0xf0, 0x00},
	}
	for name, bytes := range later {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, address).connect("bad")
			c.send(bytes)
			c.wantClosed()
		})
	}
	healthy.ping()
	healthy.send(publishPacket(1, 0, 1, "t", "x"))
	healthy.want(0x40, 2, 0, 1)
	if got := len(s.all()); got != 1 {
		t.Errorf("got %d messages, want that of the healthy client", got)
	}
}

// The packet that ends other processes: an index out of range in the library,
// in the goroutine of the connection. An MQTT 5 session would be needed to
// send it, and none is opened.
func TestMQTT5IsRefusedWithItsOwnCode(t *testing.T) {
	_, _, address := newMQTT(t, nil)
	c := dialRaw(t, address)
	c.send(connectPacket(5, cleanSession, 60, "five"), []byte{0x82, 0x06, 0x00, 0x01, 0x00, 0x00, 0x01, 'a'})
	c.want(0x20)
	rest, _ := io.ReadAll(c.in)
	if len(rest) < 3 || rest[2] != 0x84 { // unsupported protocol version
		t.Errorf("got CONNACK % x, want code 84", rest)
	}
	dialRaw(t, address).connect("four")
}

func TestPanicOfTheSinkEndsOneConnection(t *testing.T) {
	_, _, address := newMQTT(t, func(cfg *source.MQTTConfig) { cfg.Sink = nilSink{} })
	healthy := dialRaw(t, address).connect("healthy")
	c := dialRaw(t, address).connect("c")
	c.send(publishPacket(1, 0, 1, "t", "x"))
	c.wantClosed()
	healthy.ping()
}

// nilSink panics when it is used.
type nilSink struct{ source.Sink }

func TestTooManyConnections(t *testing.T) {
	_, _, address := newMQTT(t, func(cfg *source.MQTTConfig) { cfg.MaxClients = 2 })
	a := dialRaw(t, address).connect("a")
	b := dialRaw(t, address).connect("b")
	c := dialRaw(t, address)
	c.Write(connectPacket(4, cleanSession, 60, "c"))
	if _, err := c.in.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the third of two refused", err)
	}
	a.ping()
	b.ping()
}

func TestWhoSaysNothingKeepsNobodyOut(t *testing.T) {
	_, _, address := newMQTT(t, func(cfg *source.MQTTConfig) { cfg.MaxClients = 4 })
	a := dialRaw(t, address).connect("a")
	for range 100 {
		dialRaw(t, address).send(connectPacket(4, cleanSession, 60, "silent")[:5])
	}
	b := dialRaw(t, address).connect("b")
	for range 100 {
		dialRaw(t, address)
	}
	a.ping()
	b.ping()
	dialRaw(t, address).connect("c")
	d := dialRaw(t, address).connect("d") // the last place
	dialRaw(t, address).wantClosed()
	d.ping()
}

// TestSubscriptionsAreSmall sends packets that the library would take apart into a hundred times their bytes.
func TestSubscriptionsAreSmall(t *testing.T) {
	_, _, address := newMQTT(t, nil)
	empty := make([]byte, 3*20_000) // filters without a letter
	for name, first := range map[string]byte{"SUBSCRIBE": 0x82, "UNSUBSCRIBE": 0xa2} {
		c := dialRaw(t, address).connect("c")
		c.ping()
		_, _ = c.Write(packet(first, []byte{0, 1}, empty)) // it may be cut off in the middle
		if n, err := c.in.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s of %d bytes: got %d bytes and %v, want the connection closed", name, len(empty), n, err)
		}
	}
	var filters []byte
	for range 65 {
		filters = append(append(filters, str("a")...), 0)
	}
	c := dialRaw(t, address).connect("c")
	c.send(packet(0x82, []byte{0, 1}, filters))
	c.wantClosed()
	c = dialRaw(t, address).connect("c")
	c.send(packet(0xa2, []byte{0, 1}, str("a")))
	c.want(0xb0, 2, 0, 1)
	// A packet is found behind others, however its bytes come, and a long reading is none of them.
	c.send(publishPacket(1, 0, 1, "t", strings.Repeat("\x82", 20_000)))
	c.want(0x40, 2, 0, 1)
	for _, b := range packet(0x82, []byte{0, 1}, empty)[:4] {
		c.send([]byte{b})
	}
	c.wantClosed()
}

func TestPayloadsAndPasswordsAreNotLogged(t *testing.T) {
	var logged bytes.Buffer
	var mu sync.Mutex
	s := &sink{}
	m, err := source.NewMQTT(source.MQTTConfig{Address: "127.0.0.1:0", Sink: s, Limits: source.Limits{MaxPayload: 8},
		Log: zerolog.New(lockedWriter{&mu, &logged})})
	if err != nil {
		t.Fatal(err)
	}
	address, stop := start(t, m)
	s.fail(errBroken)
	for _, payload := range []string{"hunter2", "hunter2-hunter2"} {
		c := dialRaw(t, address)
		c.send(connectPacket(4, cleanSession|withUser, 60, "c", "me", "hunter2"))
		c.want(0x20, 2, 0, 0)
		c.send(publishPacket(1, 0, 1, "t", payload))
		c.wantClosed()
	}
	stop()
	mu.Lock()
	defer mu.Unlock()
	if strings.Contains(logged.String(), "hunter2") || strings.Count(logged.String(), "message refused") != 2 {
		t.Errorf("got log\n%s\nwant two refusals without their payloads", logged.String())
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}
