package source_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/fieldpost/fieldpost/agent/source"
)

func TestStopWithSilentAndBusyClients(t *testing.T) {
	s := &sink{}
	m, err := source.NewMQTT(source.MQTTConfig{Address: "127.0.0.1:0", Sink: s, QoS: 1})
	if err != nil {
		t.Fatal(err)
	}
	address, stop := start(t, m)
	silent := dialRaw(t, address) // never sends CONNECT
	will := dialRaw(t, address)
	will.send(connectPacket(4, cleanSession|withWill, 60, "w", "will", "gone"))
	will.want(0x20, 2, 0, 0)
	s.block()
	busy := dialRaw(t, address).connect("busy")
	busy.send(publishPacket(1, 0, 1, "t", "x"))
	<-s.entered
	begun := time.Now()
	time.AfterFunc(50*time.Millisecond, func() { // the commit ends well, as one of a will would
		s.gate <- struct{}{}
		s.gate <- struct{}{}
	})
	stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	silent.wantClosed()
	if got := s.all(); len(got) != 1 || got[0].Topic != "t" {
		t.Errorf("got %v, want the busy client's message and no will", got)
	}
}

func TestWill(t *testing.T) {
	_, s, address := newMQTT(t, nil)
	c := dialRaw(t, address)
	c.send(connectPacket(4, cleanSession|withWill|1<<3|1<<5, 60, "w", "state/w", "gone")) // retained
	c.want(0x20, 2, 0, 0)
	c.Close()
	eventually(t, "the will", func() bool { return len(s.all()) == 1 })
	if got := s.all()[0]; got.Topic != "state/w" || string(got.Payload) != "gone" || got.QoS != 2 || !got.Retain || got.Source != "mqtt:w" {
		t.Errorf("got %+v", got)
	}

	polite := dialRaw(t, address)
	polite.send(connectPacket(4, cleanSession|withWill, 60, "p", "state/p", "gone"), []byte{0xe0, 0})
	polite.want(0x20, 2, 0, 0)
	polite.wantClosed()

	bad := dialRaw(t, address)
	bad.send(connectPacket(4, cleanSession|withWill, 60, "b", "state/#", "gone"))
	bad.want(0x20, 2, 0, 5)
	bad.wantClosed()
	if got := len(s.all()); got != 1 {
		t.Errorf("got %d messages, want the one will", got)
	}
}

// A client that keeps its session may repeat PUBLISH and PUBREL at QoS 2 as
// often as it likes.
func TestQoS2IsStoredOnceAcrossConnections(t *testing.T) {
	_, s, address := newMQTT(t, nil)
	connect := func(present byte) *raw {
		c := dialRaw(t, address)
		c.send(connectPacket(4, 0, 60, "two"))
		c.want(0x20, 2, present, 0)
		return c
	}
	c := connect(0)
	c.send(publishPacket(2, 0, 9, "t", "x"))
	c.want(0x50, 2, 0, 9)
	c.Close() // the PUBREC got lost

	c = connect(1)
	c.want(0x50, 2, 0, 9)
	c.send(publishPacket(2, 1, 9, "t", "x"))
	c.want(0x50, 2, 0, 9)
	c.send([]byte{0x62, 2, 0, 9})
	c.want(0x70, 2, 0, 9)
	c.Close() // the PUBCOMP got lost

	c = connect(1)
	c.send([]byte{0x62, 2, 0, 9})
	c.want(0x70, 2, 0, 9)
	if got := len(s.all()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
	c.send(publishPacket(2, 0, 9, "t", "y")) // the id is free again
	c.want(0x50, 2, 0, 9)
	if got := len(s.all()); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}
}

func TestSubscriptionIsRefused(t *testing.T) {
	_, _, address := newMQTT(t, nil)
	c := dialRaw(t, address).connect("c")
	c.send(packet(0x82, []byte{0, 1}, str("#"), []byte{0}, str("a"), []byte{1}))
	c.want(0x90, 4, 0, 1, 0x80, 0x80)
	c.send(publishPacket(1, 0, 2, "a", "x"))
	c.want(0x40, 2, 0, 2) // and nothing is delivered
	c.ping()
}

func TestLastClientWithAnIDWins(t *testing.T) {
	_, _, address := newMQTT(t, nil)
	older := dialRaw(t, address).connect("same")
	newer := dialRaw(t, address).connect("same")
	older.wantClosed()
	newer.ping()
}

// What the older connection still has to store comes first.
func TestTakeoverWaitsForTheCommit(t *testing.T) {
	_, s, address := newMQTT(t, nil)
	s.block()
	older := dialRaw(t, address).connect("same")
	older.send(publishPacket(1, 0, 1, "t", "x"))
	<-s.entered
	newer := dialRaw(t, address)
	newer.send(connectPacket(4, cleanSession, 60, "same"))
	newer.wantSilence()
	s.gate <- struct{}{}
	newer.want(0x20, 2, 0, 0)
	if got := len(s.all()); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestSessionsOfAbsentClientsAreBounded(t *testing.T) {
	const clients, most = 300, 256
	_, _, address := newMQTT(t, nil)
	present := 0
	for round := range 2 {
		for i := range clients {
			c := dialRaw(t, address)
			c.send(connectPacket(4, 0, 60, fmt.Sprint("client", i)))
			var connack [4]byte
			if _, err := io.ReadFull(c.in, connack[:]); err != nil {
				t.Fatal(err)
			}
			present += round * int(connack[2])
			c.send([]byte{0xe0, 0})
			c.wantClosed()
		}
	}
	if present == 0 || present > most {
		t.Errorf("%d sessions were kept, want up to %d", present, most)
	}
}

func TestKeepaliveIsWatched(t *testing.T) {
	_, _, address := newMQTT(t, nil)
	c := dialRaw(t, address)
	c.send(connectPacket(4, cleanSession, 1, "c"))
	c.want(0x20, 2, 0, 0)
	c.wantClosed() // after a good second
	d := dialRaw(t, address)
	d.send(connectPacket(4, cleanSession, 43691, "d")) // one and a half times as much is 0 in 16 bits
	d.want(0x20, 2, 0, 0)
	d.ping()
	d.wantSilence()
}

func TestLogin(t *testing.T) {
	hash := func(password string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	users, err := source.ParseUsers("users", []byte("pump:"+hash("right")+":plant/pump/\nall:"+hash("also")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, s, address := newMQTT(t, func(cfg *source.MQTTConfig) { cfg.Users = users })
	login := func(id, user, password string, code byte) *raw {
		t.Helper()
		c := dialRaw(t, address)
		c.send(connectPacket(4, cleanSession|withUser, 60, id, user, password))
		c.want(0x20, 2, 0, code)
		return c
	}
	anonymous := dialRaw(t, address)
	anonymous.send(connectPacket(4, cleanSession, 60, "a"))
	anonymous.want(0x20, 2, 0, 4)
	login("a", "pump", "wrong", 4).wantClosed()
	login("a", "nobody", "right", 4).wantClosed()
	for range 2 { // the second time from memory
		c := login("a", "pump", "right", 0)
		c.send(publishPacket(1, 0, 1, "plant/pump/level", "x"))
		c.want(0x40, 2, 0, 1)
	}
	login("a", "pump", "right2", 4).wantClosed()
	for _, topic := range []string{"plant/pumpkin", "plant", "other"} {
		c := login("a", "pump", "right", 0)
		c.send(publishPacket(1, 0, 1, topic, "x"))
		c.wantClosed()
	}
	eventually(t, "three refusals", func() bool { return m.Status().Refused == 3 })

	// A client id belongs to the user that holds it.
	holder := login("mine", "pump", "right", 0)
	login("mine", "all", "also", 2).wantClosed()
	holder.ping()
	login("mine", "pump", "right", 0).ping()
	if got := len(s.all()); got != 2 {
		t.Errorf("got %d messages, want 2", got)
	}

	// So does the session that it leaves.
	for _, c := range []struct {
		user, password string
		present        byte
	}{{"pump", "right", 0}, {"pump", "right", 1}, {"all", "also", 0}} {
		again := dialRaw(t, address)
		again.send(connectPacket(4, withUser, 60, "kept", c.user, c.password))
		again.want(0x20, 2, c.present, 0)
		again.send([]byte{0xe0, 0})
		again.wantClosed()
	}
}
