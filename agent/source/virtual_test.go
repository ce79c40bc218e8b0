package source_test

import (
	"bufio"
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/source"
)

// pipes is a listener in memory, for virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

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

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

// inBubble runs an MQTT source on pipes in virtual time.
func inBubble(t *testing.T, s *sink, test func(t *testing.T, p *pipes)) {
	bubbleAt(t, source.Rate{}, s, func(t *testing.T, p *pipes, _ *source.MQTT) { test(t, p) })
}

// bubbleAt is inBubble with a rate.
func bubbleAt(t *testing.T, rate source.Rate, s *sink, test func(*testing.T, *pipes, *source.MQTT)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		m, err := source.NewMQTT(source.MQTTConfig{Address: "memory", Sink: s, Rate: rate,
			Listen: func(context.Context, string) (net.Listener, error) { return p, nil }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		test(t, p, m)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// closedAfter returns how long the other side keeps the connection.
func closedAfter(c net.Conn) time.Duration {
	begun := time.Now()
	for buf := make([]byte, 64); ; {
		if _, err := c.Read(buf); err != nil {
			return time.Since(begun)
		}
	}
}

func TestClientThatNeverSaysWhoItIs(t *testing.T) {
	inBubble(t, &sink{}, func(t *testing.T, p *pipes) {
		if got, want := closedAfter(p.dial()), 10*time.Second; got != want {
			t.Errorf("a silent client was cut after %v, want %v", got, want)
		}
		dripping := p.dial()
		var drips sync.WaitGroup
		defer drips.Wait()
		drips.Go(func() {
			for _, b := range connectPacket(4, cleanSession, 60, "slow") {
				time.Sleep(3 * time.Second)
				if _, err := dripping.Write([]byte{b}); err != nil {
					return
				}
			}
		})
		if got, want := closedAfter(dripping), 10*time.Second; got != want {
			t.Errorf("a dripping client was cut after %v, want %v", got, want)
		}
	})
}

func TestCommitThatNeverEnds(t *testing.T) {
	s := &sink{}
	inBubble(t, s, func(t *testing.T, p *pipes) {
		s.gate = make(chan struct{}) // of this bubble
		c := p.dial()
		if _, err := c.Write(connectPacket(4, cleanSession, 600, "c")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(publishPacket(1, 0, 1, "t", "x")); err != nil {
			t.Fatal(err)
		}
		if got, want := closedAfter(c), 10*time.Second; got != want {
			t.Errorf("the client waited %v for its PUBACK, want an end after %v", got, want)
		}
	})
}

// 65535 s is beyond what the library can compute one and a half times of in 16 bits.
func TestClientWithoutKeepaliveMayBeSilentForHours(t *testing.T) {
	for _, keepalive := range []uint16{0, 43691, 50000, 65535} {
		inBubble(t, &sink{}, func(t *testing.T, p *pipes) {
			c := p.dial()
			if _, err := c.Write(connectPacket(4, cleanSession, keepalive, "c")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			if got, least := closedAfter(c), 12*time.Hour; got < least || got > 24*time.Hour {
				t.Errorf("keepalive %d: cut after %v, want half a day or more, and an end", keepalive, got)
			}
		})
	}
}

// What is known of a QoS 2 message has no age: neither days nor a wall clock that is set make it come twice.
func TestQoS2IsStoredOnceAfterDays(t *testing.T) {
	s := &sink{}
	inBubble(t, s, func(t *testing.T, p *pipes) {
		for round, present := range []byte{0, 1, 1} {
			c := &raw{t, p.dial(), nil}
			c.in = bufio.NewReader(c)
			c.send(connectPacket(4, 0, 60, "two"))
			c.want(0x20, 2, present, 0)
			if round > 0 {
				c.want(0x50, 2, 0, 9) // the answer that it has not heard yet
			}
			c.send(publishPacket(2, min(byte(round), 1), 9, "t", "x"))
			c.want(0x50, 2, 0, 9)
			c.Close()
			time.Sleep(72 * time.Hour)
		}
		if got := len(s.all()); got != 1 {
			t.Errorf("got %d messages, want 1", got)
		}
	})
}
