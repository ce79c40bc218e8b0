package sysnet_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/agent/sysnet"
)

// TestAcknowledgementsRideWithData asks the kernel whether it would acknowledge at once, in packets of their own.
func TestAcknowledgementsRideWithData(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d sysnet.Dialer
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	quick := func() (on int) {
		t.Helper()
		var asked error
		if err := raw.Control(func(fd uintptr) { on, asked = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK) }); err != nil {
			t.Fatal(err)
		}
		if asked != nil {
			t.Skipf("the kernel doesn't say: %v", asked)
		}
		return on
	}
	if quick() != 0 {
		t.Error("a new connection acknowledges at once")
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }); err != nil {
		t.Fatal(err)
	}
	if quick() != 1 {
		t.Fatal("the kernel doesn't change its mind: the test proves nothing")
	}
	if _, err := c.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if quick() != 0 {
		t.Error("after a Write it acknowledges at once")
	}
}
