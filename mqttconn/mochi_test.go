package mqttconn_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// embedded is a broker of another make, to which wires are connected.
type embedded struct {
	server *mochi.Server
	group  sync.WaitGroup

	mu  sync.Mutex
	got []string
}

// allowAll lets every client in.
type allowAll struct{ mochi.HookBase }

func (*allowAll) ID() string { return "allow-all" }
func (*allowAll) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (*allowAll) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*allowAll) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

func newEmbedded(t *testing.T) *embedded {
	t.Helper()
	b := &embedded{server: mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})}
	if err := b.server.AddHook(new(allowAll), nil); err != nil {
		t.Fatal(err)
	}
	err := b.server.Subscribe("site/#", 1, func(_ *mochi.Client, _ packets.Subscription, p packets.Packet) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got = append(b.got, string(p.Payload))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.server.Close()
		b.group.Wait()
	})
	return b
}

func (b *embedded) dial(w *wire) mqttconn.DialFunc {
	return func(context.Context) (mqttconn.Conn, error) {
		b.group.Go(func() { b.server.EstablishConnection("wire", w.server()) })
		return w.client(), nil
	}
}

func (b *embedded) payloads() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...)
}

func TestEmbeddedBrokerGetsEveryQoSInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEmbedded(t)
		s := connect(t, b.dial(newWire()), mqttconn.Config{ClientID: "pump-07"})
		const messages = 300
		var receipts []*mqttconn.Receipt
		for i := range messages {
			m := mqttconn.Message{Seq: uint64(i), Topic: "site/pump", QoS: byte(i % 3), Payload: fmt.Appendf(nil, "reading %d", i)}
			r, err := s.Publish(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			receipts = append(receipts, r)
		}
		for _, r := range receipts {
			if err := r.Err(); err != nil {
				t.Fatalf("message %d: %v", r.Seq(), err)
			}
		}
		got := b.payloads()
		for i := range messages {
			if want := fmt.Sprintf("reading %d", i); i >= len(got) || got[i] != want {
				t.Fatalf("payload %d of %d: got %q, want %q", i, len(got), got[i], want)
			}
		}
		if st := s.Stats(); st.Proven != messages || st.Contradictions != 0 || st.Strays != 0 || st.InFlight != 0 {
			t.Errorf("stats: %+v", st)
		}
	})
}

func TestQuietHoursCostPingsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newEmbedded(t)
		s := connect(t, b.dial(newWire()), mqttconn.Config{ClientID: "pump-07"})
		time.Sleep(3*time.Hour + time.Minute)
		if got := s.Stats().Pings; got != 20 {
			t.Errorf("pings in three hours: got %d, want one each 540 s, which are 20", got)
		}
		if err := s.Err(); err != nil {
			t.Errorf("session ended: %v", err)
		}
	})
}
