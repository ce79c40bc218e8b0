package gsmnet_test

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// fast is a module on a line and a radio so fast that the tests of nettest, which run in real time, take seconds.
func fast() gsmsim.Config {
	ms := time.Millisecond
	return gsmsim.Config{
		Baud:    20_000_000,
		Radio:   gsmsim.Radio{Up: 20_000_000, Down: 20_000_000, RTT: ms},
		Network: gsmsim.Network{Register: ms, Attach: ms},
		Timing: gsmsim.Timing{Boot: ms, Answer: 50 * time.Microsecond, Activate: ms, Deactivate: ms, Settle: ms,
			Close: ms, LogOff: ms,
			// A busy machine may hold the driver up between two bytes: what looks like a silence to the module must stay rare.
			EscapeGuard: 5 * ms},
	}
}

func TestConnPassesNettest(t *testing.T) {
	for name, cfg := range map[string]gsmnet.Config{
		"buffered":    {},
		"pushed":      {Receive: gsmnet.Pushed},
		"transparent": {Mode: gsmnet.Transparent, EscapeGuard: 20 * time.Millisecond, DataWait: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			cfg.APN, cfg.Baud, cfg.Linger = "internet.example", fast().Baud, time.Second
			sim := fast()
			f := newFar()
			sim.Dial = f.dial
			module := gsmsim.New(sim)
			defer module.Close()
			m, err := gsmnet.Open(module.Wire(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c1, err = m.DialContext(context.Background(), "tcp", "192.0.2.1:1883")
				if err != nil {
					return nil, nil, nil, err
				}
				c2 = <-f.conns
				return c1, c2, func() {
					c2.Close()
					c1.Close()
				}, nil
			})
		})
	}
}
