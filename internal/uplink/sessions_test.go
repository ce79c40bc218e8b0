package uplink

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/mqttconn"
	"github.com/fieldpost/fieldpost/queue"
)

// leaveOpen makes the broker hold packet id 1 of the client: a QoS 2 message that is never released.
func leaveOpen(t *testing.T, addr, clientID string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.ClientIdentifier, hello.Keepalive = "MQTT", 4, clientID, 60
	message := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	message.TopicName, message.Qos, message.MessageID, message.Payload = "site/old", 2, 1, []byte(`{"n":1}`)
	for _, p := range []packets.ControlPacket{hello, message} {
		if err := p.Write(conn); err != nil {
			t.Fatal(err)
		}
		if _, err := packets.ReadPacket(conn); err != nil { // CONNACK, PUBREC
			t.Fatal(err)
		}
	}
}

// TestSessionBook leaves a broker that holds a packet id, and comes back to it when nobody remembers that id. Under it the
// next message would be taken for a repeat and swallowed, although the broker answers as for any other.
func TestSessionBook(t *testing.T) {
	t.Parallel()
	const clientID = "pump-07"
	first, second := startBroker(t), startBroker(t)
	q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	book := sessionBook{path: filepath.Join(t.TempDir(), "sessions"), queue: q}
	with := func(b *broker, use func(*mqttconn.Session)) {
		t.Helper()
		cfg := mqttconn.Config{ClientID: clientID, Journal: journal{q}}
		flights, err := q.Flights()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range flights {
			cfg.Resume = append(cfg.Resume, mqttconn.Resume{Flight: mqttconn.Flight{Seq: f.Seq, PacketID: f.PacketID, Received: f.Received}})
		}
		s, err := book.connect(t.Context(), dialer(b.addr), cfg, b.addr)
		if err != nil {
			t.Fatal(err)
		}
		if page, err := book.open(clientID); err != nil || page.Flights != b.addr {
			t.Errorf("the book says that flights are with %q, %v, want %q", page.Flights, err, b.addr)
		}
		use(s)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	publish := func(s *mqttconn.Session, payload string) {
		t.Helper()
		before := len(first.readings())
		seq, err := q.Put(t.Context(), queue.Message{Topic: "site/new", QoS: 2, Payload: []byte(payload)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Publish(t.Context(), mqttconn.Message{Seq: seq, Topic: "site/new", QoS: 2, Payload: []byte(payload)})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		if got := len(first.readings()); got != before+1 {
			t.Errorf("the broker has answered for %s and swallowed it", payload)
		}
	}

	leaveOpen(t, first.addr, clientID) // as an agent did whose queue file is gone
	with(first, func(s *mqttconn.Session) { publish(s, `{"n":2}`) })

	// fly notes a message that was sent to the broker last used, under packet id 1.
	fly := func() {
		t.Helper()
		seq, err := q.Put(t.Context(), queue.Message{Topic: "site/old", QoS: 2, Payload: []byte(`{"n":1}`)})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.SaveFlight(t.Context(), queue.Flight{Seq: seq, PacketID: 1}, true); err != nil {
			t.Fatal(err)
		}
	}
	nothingResumed := func(s *mqttconn.Session) {
		t.Helper()
		if n := len(s.Resumed()); n != 0 {
			t.Errorf("%d flights were resumed with a broker that they were not sent to", n)
		}
		if flights, err := q.Flights(); err != nil || len(flights) != 0 {
			t.Errorf("got flights %v, %v after turning to another broker, want none", flights, err)
		}
	}

	leaveOpen(t, first.addr, clientID)
	fly()
	with(second, nothingResumed)
	if page, err := book.open(clientID); err != nil || !page.Stale[first.addr] {
		t.Error("the book doesn't say that the first broker holds forgotten packet ids")
	}
	with(first, func(s *mqttconn.Session) { publish(s, `{"n":3}`) })
	with(first, func(s *mqttconn.Session) {
		if !s.SessionPresent() {
			t.Error("a session was discarded that nothing is wrong with")
		}
	})
	fly()
	with(second, nothingResumed) // whose session was kept meanwhile
}

// TestSessionOfAnOlderQueue begins with a new queue file while the broker's session holds a packet id of the old one, and commands that
// came meanwhile. The commands are taken, the log tells that the session was discarded, and no reading is swallowed or doubled.
func TestSessionOfAnOlderQueue(t *testing.T) {
	t.Parallel()
	const clientID = "pump-07"
	broker := startBroker(t)
	var mu sync.Mutex
	var taken []string
	cfg := mqttconn.Config{ClientID: clientID, Subscriptions: []mqttconn.Subscription{{Filter: "pump-07/cmd/+", QoS: 1}},
		Handler: func(_ context.Context, d mqttconn.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, string(d.Payload))
			return nil
		}}
	old, err := mqttconn.Connect(t.Context(), dialer(broker.addr), cfg)
	if err != nil {
		t.Fatal(err)
	}
	<-old.Settled()
	if err := old.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaveOpen(t, broker.addr, clientID)
	for _, id := range []string{"1", "2", "3"} {
		if err := broker.server.Publish("pump-07/cmd/status", []byte(id), false, 1); err != nil {
			t.Fatal(err)
		}
	}

	q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var log bytes.Buffer
	book := sessionBook{path: filepath.Join(t.TempDir(), "sessions"), queue: q, log: zerolog.New(&log)}
	cfg.Journal = journal{q}
	for life := range 2 {
		s, err := book.connect(t.Context(), dialer(broker.addr), cfg, broker.addr)
		if err != nil {
			t.Fatal(err)
		}
		seq, err := q.Put(t.Context(), queue.Message{Topic: "site/new", QoS: 2, Payload: fmt.Append(nil, life)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Publish(t.Context(), mqttconn.Message{Seq: seq, Topic: "site/new", QoS: 2, Payload: fmt.Append(nil, life)})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		if err := q.Release(seq); err != nil {
			t.Fatal(err)
		}
		<-s.Settled()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	want := []string{`{"n":1}`, "0", "1"} // the first one was left open
	if got := broker.readings(); !slices.Equal(got, want) {
		t.Errorf("the readings %q have arrived, want %q", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(taken) // this broker keeps no order of what waits
	if !slices.Equal(taken, []string{"1", "2", "3"}) {
		t.Errorf("the commands %q were taken, want the three that waited", taken)
	}
	if n := strings.Count(log.String(), `"taken":3,"message":"the broker's session has packet ids that are not known here`); n != 1 {
		t.Errorf("the log tells %d times that the session was discarded, want once:\n%s", n, &log)
	}
}
