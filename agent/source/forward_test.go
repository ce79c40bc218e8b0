package source_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/source"
)

func subscribePacket(qos byte, filter string) []byte {
	return packet(0x82, []byte{0, 9}, str(filter), []byte{qos})
}

// forwarding starts a listener whose clients may subscribe below "local".
func forwarding(t *testing.T) (*source.MQTT, *sink, string) {
	t.Helper()
	return newMQTT(t, func(c *source.MQTTConfig) { c.Forward = "local" })
}

// begin calls Forward in the background.
func begin(ctx context.Context, m *source.MQTT, payload string) <-chan error {
	result := make(chan error, 1)
	go func() { result <- m.Forward(ctx, "valve", []byte(payload)) }()
	return result
}

func TestForward(t *testing.T) {
	m, s, address := forwarding(t)
	c := dialRaw(t, address).connect("plc")
	c.send(subscribePacket(1, "local/#"))
	c.want(0x90, 3, 0, 9, 1)

	result := begin(t.Context(), m, "open")
	c.want(publishPacket(1, 0, 1, "local/valve", "open")...)
	select {
	case err := <-result:
		t.Errorf("got %v before the client has acknowledged it", err)
	case <-time.After(20 * time.Millisecond):
	}
	c.send([]byte{0x40, 2, 0, 1})
	if err := <-result; err != nil {
		t.Error(err)
	}
	if got := s.all(); len(got) > 0 {
		t.Errorf("a command became a reading: %+v", got)
	}
	if st := m.Status(); st.Accepted+st.Refused > 0 {
		t.Errorf("it was counted: %+v", st)
	}
}

func TestForwardToQoS0(t *testing.T) {
	m, _, address := forwarding(t)
	c := dialRaw(t, address).connect("plc")
	c.send(subscribePacket(0, "local/valve"))
	c.want(0x90, 3, 0, 9, 0)
	if err := <-begin(t.Context(), m, "open"); err != nil {
		t.Error(err)
	}
	c.want(publishPacket(0, 0, 0, "local/valve", "open")...)
}

func TestNobodyListens(t *testing.T) {
	m, _, address := forwarding(t)
	if err := <-begin(t.Context(), m, "open"); !errors.Is(err, source.ErrNobody) {
		t.Errorf("got %v, want %v", err, source.ErrNobody)
	}
	c := dialRaw(t, address) // one that has gone, but whose session is kept
	c.send(connectPacket(4, 0, 60, "plc"))
	c.want(0x20, 2, 0, 0)
	c.send(subscribePacket(1, "local/#"))
	c.want(0x90, 3, 0, 9, 1)
	c.send([]byte{0xe0, 0})
	c.wantClosed()
	eventually(t, "the end of the client", func() bool { return errors.Is(<-begin(t.Context(), m, "open"), source.ErrNobody) })
}

// Nobody waits ten seconds for a client that has left.
func TestLeavesWithoutAcknowledging(t *testing.T) {
	m, _, address := forwarding(t)
	c := dialRaw(t, address)
	c.send(connectPacket(4, 0, 60, "plc"))
	c.want(0x20, 2, 0, 0)
	c.send(subscribePacket(1, "local/#"))
	c.want(0x90, 3, 0, 9, 1)
	result := begin(t.Context(), m, "open")
	c.want(publishPacket(1, 0, 1, "local/valve", "open")...)
	c.Close()
	select {
	case err := <-result:
		if !errors.Is(err, source.ErrUnconfirmed) {
			t.Errorf("got %v, want %v", err, source.ErrUnconfirmed)
		}
	case <-time.After(8 * time.Second): // without a look at the connection it takes 10
		t.Error("the client has left, and its acknowledgement is still waited for")
	}
	again := dialRaw(t, address)
	again.send(connectPacket(4, 0, 60, "plc"))
	again.want(0x20, 2, 1, 0) // its session was kept
	again.ping()              // and holds nothing
}

// What was not acknowledged doesn't come later, when nobody expects it any more.
func TestUnconfirmedIsTakenBack(t *testing.T) {
	m, _, address := forwarding(t)
	c := dialRaw(t, address)
	c.send(connectPacket(4, 0, 60, "plc"))
	c.want(0x20, 2, 0, 0)
	c.send(subscribePacket(1, "local/#"))
	c.want(0x90, 3, 0, 9, 1)
	ctx, cancel := context.WithCancel(t.Context())
	result := begin(ctx, m, "open")
	c.want(publishPacket(1, 0, 1, "local/valve", "open")...)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	c.Close()
	again := dialRaw(t, address)
	again.send(connectPacket(4, 0, 60, "plc"))
	again.want(0x20, 2, 1, 0) // its session was kept
	again.ping()              // and holds nothing
}

// Clients can't command one another, nor listen to readings.
func TestOnlyCommandsCanBeSubscribedTo(t *testing.T) {
	_, s, address := forwarding(t)
	c, other := dialRaw(t, address).connect("plc"), dialRaw(t, address).connect("other")
	for _, filter := range []string{"#", "local", "+/valve", "$share/a/local/valve", "localhost/#"} {
		c.send(subscribePacket(1, filter))
		c.want(0x90, 3, 0, 9, 0x80)
	}
	c.send(subscribePacket(1, "local/#"))
	c.want(0x90, 3, 0, 9, 1)
	other.send(publishPacket(1, 0, 5, "local/valve", "open"))
	other.want(0x40, 2, 0, 5)
	c.ping()
	if got := s.all(); len(got) != 1 {
		t.Errorf("got %+v, want it as a reading", got)
	}
}
