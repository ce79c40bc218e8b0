package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"golang.org/x/crypto/bcrypt"
)

// local is a client of the local MQTT listener that sends one packet at a time.
type local struct {
	t *testing.T
	net.Conn
}

// hello is a CONNECT.
func hello(id, user, password string) *packets.ConnectPacket {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive, p.ClientIdentifier = "MQTT", 4, true, 600, id
	if user != "" {
		p.UsernameFlag, p.PasswordFlag, p.Username, p.Password = true, true, user, []byte(password)
	}
	return p
}

// dialLocal connects and returns the listener's answer; -1: none.
func dialLocal(t *testing.T, addr string, p *packets.ConnectPacket) (*local, int) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	l := &local{t, c}
	if p.Write(c) != nil {
		return l, -1
	}
	answer, err := packets.ReadPacket(c)
	if err != nil {
		return l, -1
	}
	return l, int(answer.(*packets.ConnackPacket).ReturnCode)
}

func login(t *testing.T, addr, id string) *local {
	t.Helper()
	l, code := dialLocal(t, addr, hello(id, "", ""))
	if code != 0 {
		t.Fatalf("%s: CONNACK %d", id, code)
	}
	return l
}

// try publishes at QoS 1 and waits for the PUBACK.
func (l *local) try(id uint16, topic, payload string) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.TopicName, p.Payload, p.MessageID = 1, topic, []byte(payload), id
	if err := p.Write(l); err != nil {
		return err
	}
	answer, err := packets.ReadPacket(l)
	if err != nil {
		return err
	}
	if ack, ok := answer.(*packets.PubackPacket); !ok || ack.MessageID != id {
		return fmt.Errorf("got %v, want the PUBACK of %d", answer, id)
	}
	return nil
}

func (l *local) publish(id uint16, topic, payload string) {
	l.t.Helper()
	if err := l.try(id, topic, payload); err != nil {
		l.t.Fatalf("%s: %v", topic, err)
	}
}

// TestFS3_AttackOnTheLocalListener attacks a whole agent in every way at once, while an honest sensor goes on with its work.
func TestFS3_AttackOnTheLocalListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var lines strings.Builder
	for _, user := range []string{"honest", "evil"} {
		hash, err := bcrypt.GenerateFromPassword([]byte(user), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "%s:%s:site/%s/\n", user, hash, user)
	}
	users := writeFile(t, filepath.Join(dir, "users"), lines.String())
	s := newSite(t, unreachable)
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.conf, strings.Replace(string(conf), "mqtt: {listen: "+s.mqtt, "mqtt: {users_file: "+users+", max_clients: 64, listen: "+s.mqtt, 1))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	eventually(t, "it takes readings in", 20*time.Second, func() bool { return post(t, s, "site/first", "1") == http.StatusAccepted })

	honest, code := dialLocal(t, s.mqtt, hello("honest", "honest", "honest"))
	if code != 0 {
		t.Fatalf("the honest sensor: CONNACK %d", code)
	}
	honest.publish(1, "site/honest/a", "1")

	// The name of another, with an account of one's own; and topics of another.
	if _, code := dialLocal(t, s.mqtt, hello("honest", "evil", "evil")); code == 0 {
		t.Error("a client id was taken from its user")
	}
	for _, password := range []string{"", "honest2"} {
		if _, code := dialLocal(t, s.mqtt, hello("honest", "honest", password)); code == 0 {
			t.Errorf("logged in with the password %q", password)
		}
	}
	thief, code := dialLocal(t, s.mqtt, hello("thief", "evil", "evil"))
	if code != 0 {
		t.Fatalf("the other user: CONNACK %d", code)
	}
	if thief.try(1, "site/honest/a", "forged") == nil {
		t.Error("a message on another user's topic was acknowledged")
	}

	const connections = 2000
	var connect bytes.Buffer
	if err := hello("evil", "evil", "evil").Write(&connect); err != nil {
		t.Fatal(err)
	}
	attacks := []func(c net.Conn){
		func(net.Conn) {}, // silence
		func(c net.Conn) { c.Write(connect.Bytes()[:5]) },                  // the beginning of a CONNECT
		func(c net.Conn) { c.Write([]byte("GET / HTTP/1.1\r\n\r\n")) },     // another protocol
		func(c net.Conn) { c.Write([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}) }, // 256 MiB to come
		func(c net.Conn) { c.Write(slices.Concat(connect.Bytes(), []byte{0x82, 3, 0, 1, 0})) },
		func(c net.Conn) { c.Write(slices.Concat(connect.Bytes(), []byte{0x32, 0xff, 0xff, 0x7f})) },
	}
	var group sync.WaitGroup
	for worker := range 20 {
		group.Go(func() {
			var open []net.Conn
			for i := range connections / 20 {
				c, err := net.DialTimeout("tcp", s.mqtt, 10*time.Second)
				if err != nil {
					continue // the kernel's line is full: the attacker's loss
				}
				attacks[(worker+i)%len(attacks)](c)
				if open = append(open, c); len(open) == 5 { // 100 at a time
					open[0].Close()
					open = open[1:]
				}
			}
			for _, c := range open {
				c.Close()
			}
		})
	}
	for n := range 50 {
		honest.publish(uint16(n+2), "site/honest/a", fmt.Sprint(n+2))
	}
	group.Wait()
	honest.publish(100, "site/honest/a", "last")
	eventually(t, "newcomers are served after the attack", 30*time.Second, func() bool {
		c, code := dialLocal(t, s.mqtt, hello("newcomer", "honest", "honest"))
		return code == 0 && c.try(1, "site/honest/b", "1") == nil
	})
	if got := topics(t, s); got["site/honest/a"] != 52 || got["site/first"] != 1 {
		t.Errorf("in the queue are %v, want 52 readings of the honest sensor", got)
	}
	if lines := strings.Count(agent.text(), "\n"); lines > 500 {
		t.Errorf("%d lines of log, which the attacker could have filled a disk with", lines)
	}
	if strings.Contains(agent.text(), "panic") {
		t.Error("the agent has panicked")
	}
}

// TestFS1_FloodLeavesOthersTheirTurn: one client publishes as fast as it can without waiting for answers, another one reading
// after the other.
func TestFS1_FloodLeavesOthersTheirTurn(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable+"queue: {max_bytes: 4MiB}\n")
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	eventually(t, "it takes readings in", 20*time.Second, func() bool { return post(t, s, "site/first", "1") == http.StatusAccepted })
	flood := login(t, s.mqtt, "flood")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.Qos, p.TopicName, p.Payload, p.MessageID = 1, "site/flood", make([]byte, 500), 1
		for p.Write(flood) == nil {
			p.MessageID = p.MessageID%60000 + 1
		}
	}()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, flood)
	}()
	quiet := login(t, s.mqtt, "quiet")
	for n := range 100 {
		quiet.publish(uint16(n+1), "site/quiet", fmt.Sprint(n))
	}
	flood.Close()
	<-ended
	<-drained
	if held := memoryOf(t, agent, "VmHWM"); held > 128<<20 {
		t.Errorf("the agent took %d MiB", held>>20)
	}
	if got := topics(t, s); got["site/quiet"] == 0 || got["site/flood"] == 0 {
		t.Errorf("in the queue are %v, want readings of both", got)
	}
}

// TestFS4_HalfAMessageIsNotStored: a sensor's power fails anywhere within its PUBLISH.
func TestFS4_HalfAMessageIsNotStored(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	ready(t, s)
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.TopicName, p.Payload, p.MessageID = 1, "site/half", []byte("reading"), 1
	var whole bytes.Buffer
	if err := p.Write(&whole); err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < whole.Len(); cut++ {
		c := login(t, s.mqtt, "sensor")
		if _, err := c.Write(whole.Bytes()[:cut]); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	login(t, s.mqtt, "sensor").publish(1, "site/whole", "reading")
	if got := topics(t, s); got["site/half"] != 0 || got["site/whole"] != 1 {
		t.Errorf("in the queue are %v, want the whole message alone", got)
	}
}
