package source_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent/source"
)

// FuzzMQTT sends anything to a listener, before or after a good CONNECT. The
// process survives, other clients are served, and what was accepted is fit for a
// broker.
func FuzzMQTT(f *testing.F) {
	f.Add(false, connectPacket(5, cleanSession, 60, "five"))
	f.Add(false, connectPacket(4, cleanSession|withWill|withUser, 60, "w", "will", "gone", "me", "pw"))
	f.Add(true, []byte{0x82, 0x06, 0x00, 0x01, 0x00, 0x00, 0x01, 'a'})
	f.Add(true, append(publishPacket(2, 0, 1, "t", "x"), 0x62, 2, 0, 1, 0xc0, 0, 0xe0, 0))
	f.Add(true, append(publishPacket(1, 1, 1, "t/+", "x"), publishPacket(0, 0, 0, "", "")...))

	limits := source.Limits{MaxPayload: 1000}
	s := &sink{}
	p := newPipes()
	m, err := source.NewMQTT(source.MQTTConfig{Address: "memory", Sink: s, Limits: limits,
		Listen: func(context.Context, string) (net.Listener, error) { return p, nil }})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	f.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, connected bool, data []byte) {
		c := p.dial()
		go io.Copy(io.Discard, c) // ends with the connection
		if connected {
			c.Write(connectPacket(4, cleanSession, 60, "fuzz"))
		}
		c.Write(data) // fails if the source has hung up: its right
		c.Close()

		healthy := &raw{t, p.dial(), nil}
		defer healthy.Close()
		healthy.SetDeadline(time.Now().Add(patience))
		healthy.in = bufio.NewReader(healthy)
		healthy.connect("healthy").ping()

		for _, msg := range s.take() {
			if err := limits.Check(msg); err != nil {
				t.Errorf("accepted: %v", err)
			}
		}
	})
}
