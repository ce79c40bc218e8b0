//go:build linux

package sysnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fieldpost/fieldpost/agent/sysnet"
)

// patience is how long a test waits for what must come; it is only used up when the test fails.
const patience = 10 * time.Second

// pair connects a Conn to a peer on loopback.
func pair(t *testing.T, d sysnet.Dialer) (*sysnet.Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return conn, peer.(*net.TCPConn)
}

// fill writes until the peer, which doesn't read, takes no more: from then on bytes stay unacknowledged.
func fill(t *testing.T, conn *sysnet.Conn) {
	t.Helper()
	block := make([]byte, 64<<10)
	for {
		// What the peer's kernel takes is taken within microseconds on loopback; a Write that stands still for so
		// long found both buffers full.
		conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		_, err := conn.Write(block)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			conn.SetWriteDeadline(time.Time{})
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func waitAcked(t *testing.T, conn *sysnet.Conn, offset uint64, limit time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return conn.WaitAcked(ctx, offset)
}

func TestAcknowledgedBytesAreCounted(t *testing.T) {
	conn, peer := pair(t, sysnet.Dialer{})
	for _, text := range []string{"first", "", "second"} {
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := conn.Written(), uint64(11); got != want {
		t.Errorf("Written() = %d, want %d", got, want)
	}
	// The peer's kernel acknowledges what its program has not read yet.
	if err := waitAcked(t, conn, 11, patience); err != nil {
		t.Fatal(err)
	}
	if got, want := conn.Acked(), uint64(11); got != want {
		t.Errorf("Acked() = %d, want %d", got, want)
	}
	peer.Close()
	if err := waitAcked(t, conn, 11, patience); err != nil {
		t.Errorf("what was acknowledged is unproved after the peer has closed: %v", err)
	}
}

func TestPeerThatDoesNotReadProvesNothing(t *testing.T) {
	conn, peer := pair(t, sysnet.Dialer{})
	fill(t, conn)
	written := conn.Written()
	if got := conn.Acked(); got == 0 || got >= written {
		t.Fatalf("Acked() = %d of %d written, want a part", got, written)
	}
	err := waitAcked(t, conn, written, 300*time.Millisecond)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("WaitAcked = %v, want the context's end", err)
	}

	// The twin: once the peer reads, the same wait succeeds.
	go io.Copy(io.Discard, peer) // ends when the test closes peer
	if err := waitAcked(t, conn, written, patience); err != nil {
		t.Fatal(err)
	}
	if got := conn.Acked(); got != written {
		t.Errorf("Acked() = %d, want %d", got, written)
	}
}

// A reset empties the send queue; that must not look like an acknowledgement.
func TestResetIsNoProof(t *testing.T) {
	resets := map[string]func(*net.TCPConn){
		"closed with unread bytes": func(peer *net.TCPConn) { peer.Close() },
		"aborted": func(peer *net.TCPConn) {
			peer.SetLinger(0)
			peer.Close()
		},
	}
	for name, reset := range resets {
		t.Run(name, func(t *testing.T) {
			conn, peer := pair(t, sysnet.Dialer{})
			fill(t, conn)
			written, before := conn.Written(), conn.Acked()

			waited := make(chan error, 1)
			go func() { waited <- waitAcked(t, conn, written, patience) }()
			reset(peer)
			if err := <-waited; err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				t.Errorf("WaitAcked = %v, want the failed connection", err)
			}
			if got := conn.Acked(); got != before {
				t.Errorf("Acked() = %d after the reset, was %d before", got, before)
			}
			// The failure is still there for the one who reads.
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Read = %v, want ECONNRESET", err)
			}
			if err := waitAcked(t, conn, before, patience); err != nil {
				t.Errorf("what was acknowledged before the reset is unproved after it: %v", err)
			}
		})
	}
}

func TestCloseEndsTheWait(t *testing.T) {
	conn, _ := pair(t, sysnet.Dialer{})
	fill(t, conn)
	written, before := conn.Written(), conn.Acked()
	waited := make(chan error, 1)
	go func() { waited <- waitAcked(t, conn, written, patience) }()
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, net.ErrClosed) {
		t.Errorf("WaitAcked = %v, want net.ErrClosed", err)
	}
	if got := conn.Acked(); got != before {
		t.Errorf("Acked() = %d after Close, was %d before", got, before)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close = %v, want net.ErrClosed", err)
	}
}

func TestWaitForBytesThatAreYetToBeWritten(t *testing.T) {
	conn, _ := pair(t, sysnet.Dialer{})
	if err := waitAcked(t, conn, 1, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("WaitAcked with nothing written = %v, want the context's end", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- waitAcked(t, conn, 5, patience) }()
	if _, err := io.WriteString(conn, "later"); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// While several goroutines write, the count never runs ahead of what the peer's kernel has, and it ends at the sum.
func TestCountDuringConcurrentWrites(t *testing.T) {
	conn, peer := pair(t, sysnet.Dialer{})
	const writers, rounds, size = 4, 100, 200 // less than the peer's kernel takes unread
	const total = writers * rounds * size

	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range rounds {
				if _, err := conn.Write(make([]byte, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for last := uint64(0); last < total && !t.Failed(); {
		acked := conn.Acked()
		if has := unread(t, peer); acked < last || acked > has {
			t.Errorf("Acked() = %d after %d, while the peer has %d", acked, last, has)
		}
		last = acked
	}
	writing.Wait()
	if err := waitAcked(t, conn, total, patience); err != nil {
		t.Error(err)
	}
}

// unread returns how many received bytes wait in the kernel for the peer's program.
func unread(t *testing.T, peer *net.TCPConn) uint64 {
	t.Helper()
	raw, err := peer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n uint32
	var asked error
	if err := raw.Control(func(fd uintptr) { n, asked = unix.IoctlGetUint32(int(fd), unix.SIOCINQ) }); err != nil {
		t.Fatal(err)
	}
	if asked != nil {
		t.Fatal(asked)
	}
	return uint64(n)
}

// A dead link has to end the connection within the limit, not after the kernel's quarter of an hour.
func TestUnackedLimitEndsTheConnection(t *testing.T) {
	conn, _ := pair(t, sysnet.Dialer{UnackedLimit: time.Second})
	fill(t, conn)
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("Read = %v, want ETIMEDOUT", err)
	}
	err := waitAcked(t, conn, conn.Written(), patience)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitAcked = %v, want the failed connection", err)
	}
}
