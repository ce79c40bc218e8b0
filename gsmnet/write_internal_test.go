package gsmnet

import (
	"net/netip"
	"testing"
)

// BenchmarkWrite is one PUBLISH of 137 bytes into the send buffer, and its way from there to the owner.
func BenchmarkWrite(b *testing.B) {
	t, err := parseTarget("tcp", "192.0.2.1:1883")
	if err != nil {
		b.Fatal(err)
	}
	c := newConn(&Modem{wake: make(chan struct{}, 1)}, t, netip.Addr{})
	p := make([]byte, 137)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
		if n, _ := c.pending(); n > maxSend {
			c.sent(len(c.peek(maxSend)))
		}
	}
}
