package gsmnet_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// TestG3_7_G4_6_UDP: each Write is a datagram, and acknowledgement means nothing.
func TestG3_7_G4_6_UDP(t *testing.T) {
	for name, cfg := range map[string]gsmnet.Config{"buffered": {}, "pushed": {Receive: gsmnet.Pushed}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := gsmsim.Config{Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
					if network != "udp" {
						t.Errorf("dialled %s", network)
					}
					a, b := net.Pipe() // keeps the bounds of datagrams
					go func() {
						p := make([]byte, 2000)
						for {
							n, err := b.Read(p)
							if err != nil {
								return
							}
							b.Write([]byte(strings.ToUpper(string(p[:n]))))
						}
					}()
					return a, nil
				}}
				r := newRig(t, sim, cfg)
				c, err := r.DialContext(t.Context(), "udp", "192.0.2.1:123")
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []string{"one", "two", "a longer one"} {
					if _, err := c.Write([]byte(s)); err != nil {
						t.Fatal(err)
					}
				}
				p := make([]byte, 5)
				for _, want := range []string{"ONE", "TWO", "A LON"} {
					if n, err := c.Read(p); string(p[:n]) != want || err != nil {
						t.Errorf("got %q, %v, want %q", p[:n], err, want)
					}
				}
				if _, err := c.Write(make([]byte, 1461)); err == nil {
					t.Error("a datagram of 1461 bytes was taken")
				}
				if err := c.(*gsmnet.Conn).WaitAcked(t.Context(), 3); err == nil || c.(*gsmnet.Conn).Acked() != 0 {
					t.Errorf("WaitAcked: %v, acked %d", err, c.(*gsmnet.Conn).Acked())
				}
				if _, ok := c.RemoteAddr().(*net.UDPAddr); !ok {
					t.Errorf("remote address %T", c.RemoteAddr())
				}
				if got := r.Stats().Polls; got != 0 {
					t.Errorf("%d questions for acknowledgement", got)
				}
			})
		})
	}
}

// timeServer is a dial to an SNTP server whose clock says base + what has passed.
func timeServer(t *testing.T, change func([]byte)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		go func() {
			for {
				q := make([]byte, 48)
				if _, err := io.ReadFull(b, q); err != nil {
					return
				}
				p := make([]byte, 48)
				p[0], p[1] = 0x24, 2
				copy(p[24:32], q[40:])
				now := time.Now()
				binary.BigEndian.PutUint32(p[40:], uint32(now.Unix()+2208988800))
				binary.BigEndian.PutUint32(p[44:], uint32(uint64(now.Nanosecond())<<32/1e9))
				change(p)
				b.Write(p)
			}
		}()
		return a, nil
	}
}

func TestTime(t *testing.T) {
	fine := func([]byte) {}
	for name, tc := range map[string]struct {
		sim    gsmsim.Config
		server string
		change func([]byte)
		source string // "": an error
	}{
		"the network's":            {gsmsim.Config{}, "", fine, "network"},
		"bogus dates are refused":  {gsmsim.Config{Network: gsmsim.Network{NoTime: true}}, "", fine, ""},
		"a server's":               {gsmsim.Config{Network: gsmsim.Network{NoTime: true}}, "time.example:123", fine, "sntp"},
		"a server without time":    {gsmsim.Config{Network: gsmsim.Network{NoTime: true}}, "time.example:123", func(p []byte) { p[0] |= 0xC0 }, ""},
		"a server that refuses":    {gsmsim.Config{Network: gsmsim.Network{NoTime: true}}, "time.example:123", func(p []byte) { p[1] = 0 }, ""},
		"an answer to nothing":     {gsmsim.Config{Network: gsmsim.Network{NoTime: true}}, "time.example:123", func(p []byte) { p[30]++ }, ""},
		"an answer of another age": {gsmsim.Config{Network: gsmsim.Network{NoTime: true}}, "time.example:123", func(p []byte) { p[40] -= 0x40 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))) // a bubble's clock begins in 2000
				tc.sim.Dial = timeServer(t, tc.change)
				r := newRig(t, tc.sim, gsmnet.Config{TimeServer: tc.server})
				if err := r.Up(t.Context()); err != nil {
					t.Fatal(err)
				}
				got, err := r.Time(t.Context())
				if tc.source == "" {
					if err == nil {
						t.Errorf("got %+v, want an error", got)
					}
					return
				}
				off := time.Until(got.Time).Abs()
				if err != nil || got.Source != tc.source || off > got.Within {
					t.Errorf("got %+v (off by %v), %v, want source %s", got, off, err, tc.source)
				}
			})
		})
	}
}
