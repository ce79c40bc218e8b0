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
			Close: ms, LogOff: ms},
	}
}

func TestConnPassesNettest(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		cfg := fast()
		f := newFar()
		cfg.Dial = f.dial
		module := gsmsim.New(cfg)
		m, err := gsmnet.Open(module.Wire(), gsmnet.Config{APN: "internet.example"})
		if err != nil {
			return nil, nil, nil, err
		}
		c1, err = m.DialContext(context.Background(), "tcp", "192.0.2.1:1883")
		if err != nil {
			m.Close()
			module.Close()
			return nil, nil, nil, err
		}
		c2 = <-f.conns
		return c1, c2, func() {
			c2.Close()
			c1.Close()
			m.Close()
			module.Close()
		}, nil
	})
}
