package gsmnet_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// far is the server behind the simulated network: it hands out its end of each connection.
type far struct {
	conns  chan net.Conn
	refuse func() error
}

func newFar() *far { return &far{conns: make(chan net.Conn, 4)} }

func (f *far) dial(context.Context, string, string) (net.Conn, error) {
	if f.refuse != nil {
		if err := f.refuse(); err != nil {
			return nil, err
		}
	}
	a, b := bufferedPipe()
	f.conns <- b
	return a, nil
}

// rig is a Modem on a simulated module, for use in a bubble.
type rig struct {
	*gsmnet.Modem
	module *gsmsim.Module
	far    *far
	mu     sync.Mutex
	states []gsmnet.State
	trace  bytes.Buffer
}

func newRig(t *testing.T, sim gsmsim.Config, cfg gsmnet.Config) *rig {
	t.Helper()
	return newRigWith(t, sim, cfg, nil)
}

func newRigWith(t *testing.T, sim gsmsim.Config, cfg gsmnet.Config, refuse func() error) *rig {
	t.Helper()
	r := &rig{far: newFar()}
	r.far.refuse = refuse
	if sim.Dial == nil {
		sim.Dial = r.far.dial
	}
	r.module = gsmsim.New(sim)
	if cfg.Baud == 0 {
		cfg.Baud = 115200
	}
	if cfg.APN == "" {
		cfg.APN = "internet.example"
	}
	cfg.OnState = func(s gsmnet.State) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.states = append(r.states, s)
	}
	cfg.Trace = func(out bool, p []byte) {
		r.mu.Lock()
		defer r.mu.Unlock()
		arrow := "<-"
		if out {
			arrow = "->"
		}
		r.trace.WriteString(arrow + " " + shorten(p) + "\n")
	}
	m, err := gsmnet.Open(r.module.Wire(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Modem = m
	t.Cleanup(func() {
		m.Close()
		r.module.Close()
		drain(r.far)
		if t.Failed() {
			r.mu.Lock()
			defer r.mu.Unlock()
			b := r.trace.Bytes()
			t.Logf("the end of the serial dialogue:\n%s", b[max(0, len(b)-6000):])
		}
	})
	return r
}

// drain closes the connections that nobody has asked for.
func drain(f *far) {
	for {
		select {
		case c := <-f.conns:
			c.Close()
		default:
			return
		}
	}
}

func shorten(p []byte) string {
	s := string(p)
	if len(s) > 80 {
		return quoteText(s[:80]) + "…"
	}
	return quoteText(s)
}

// dialogue is what went over the serial line so far.
func (r *rig) dialogue() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trace.String()
}

func (r *rig) dialed(t *testing.T) (*gsmnet.Conn, net.Conn) {
	t.Helper()
	c, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
	if err != nil {
		t.Fatal(err)
	}
	f := <-r.far.conns
	t.Cleanup(func() { f.Close() })
	return c.(*gsmnet.Conn), f
}

func TestDialMovesDataBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, gsmsim.Config{}, gsmnet.Config{})
		c, f := r.dialed(t)
		want := randomBytes(1, 20_000)
		go func() {
			b, _ := io.ReadAll(io.LimitReader(f, int64(len(want))))
			f.Write(b)
		}()
		begun := time.Now()
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("what came back differs from what was sent")
		}
		if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
			t.Error(err)
		}
		t.Logf("%v, %+v", time.Since(begun), r.Stats())
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if s := r.State(); s.Step != gsmnet.StepReady || s.Err != nil {
			t.Errorf("state after all: %+v", s)
		}
	})
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
