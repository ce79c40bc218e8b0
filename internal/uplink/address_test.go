package uplink

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestFM11_RememberedAddress: the name server fails, and after a second time the address is taken that has worked before, also by the
// next process.
func TestFM11_RememberedAddress(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("hello"))
			defer c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(server.Addr().String())
	module := gsmsim.New(gsmsim.Config{
		Baud:    115200,
		Radio:   gsmsim.Radio{Up: 200_000, Down: 200_000, RTT: 10 * time.Millisecond},
		Network: gsmsim.Network{Register: 100 * time.Millisecond, Attach: 100 * time.Millisecond},
		Timing:  gsmsim.Timing{Boot: 200 * time.Millisecond, Activate: 100 * time.Millisecond},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Addr().String())
		},
	})
	defer module.Close()
	m, err := gsmnet.Open(module.Wire(), gsmnet.Config{APN: "internet.example", Baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	file := filepath.Join(t.TempDir(), "addresses")
	a, err := openAddresses(file)
	if err != nil {
		t.Fatal(err)
	}
	name := net.JoinHostPort("broker.example", port)
	read := func(c *gsmnet.Conn) {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := a.dial(t.Context(), m, name)
	if err != nil {
		t.Fatal(err)
	}
	read(c)
	a.worked(c)
	c.Close()
	if err := a.save(); err != nil {
		t.Fatal(err)
	}

	module.SetFaults(gsmsim.Faults{DNSFails: true})
	if a, err = openAddresses(file); err != nil {
		t.Fatal(err)
	}
	if _, err := a.dial(t.Context(), m, name); gsmnet.CauseOf(err) != gsmnet.CauseDNS {
		t.Errorf("the first time: got %v, want cause dns", err)
	}
	c, err = a.dial(t.Context(), m, name)
	if err != nil {
		t.Fatalf("the second time: %v", err)
	}
	read(c)
	if _, ok := c.RemoteAddr().(*net.TCPAddr); !ok {
		t.Errorf("connected to %s, want an address", c.RemoteAddr())
	}
	c.Close()
	if _, err := a.dial(t.Context(), m, net.JoinHostPort("other.example", port)); gsmnet.CauseOf(err) != gsmnet.CauseDNS {
		t.Errorf("a host that was never reached: got %v", err)
	}
}
