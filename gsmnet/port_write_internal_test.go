package gsmnet

import (
	"errors"
	"syscall"
	"testing"

	"go.bug.st/serial"
)

// grudging is a driver that takes one or two bytes at a time, and is interrupted in between.
type grudging struct {
	serial.Port
	got   []byte
	calls int
	fails error
}

func (g *grudging) Write(p []byte) (int, error) {
	if g.calls++; g.calls%3 == 0 {
		return 0, syscall.EINTR
	}
	if g.fails != nil && len(g.got) > 2 {
		return 0, g.fails
	}
	n := min(len(p), 1+g.calls%2)
	g.got = append(g.got, p[:n]...)
	return n, nil
}

func TestShortAndInterruptedWritesGoOn(t *testing.T) {
	g := &grudging{}
	if err := (&serialPort{port: g}).writeAll([]byte("AT+QISEND=5\r")); err != nil || string(g.got) != "AT+QISEND=5\r" {
		t.Errorf("the driver got %q, %v", g.got, err)
	}
	g = &grudging{fails: syscall.EIO}
	if err := (&serialPort{port: g}).writeAll([]byte("AT+QISEND=5\r")); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want the driver's error", err)
	}
}
