package sysnet

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stateClosed is TCP_CLOSE of the kernel's netinet/tcp.h: reset by the peer, given up, or never connected.
const stateClosed = 7

// unackedBytes returns the bytes that the kernel holds for the peer: not yet sent, and sent but not acknowledged. It fails
// with errFailed when the connection doesn't stand any more, and with ErrNoCount when a sandbox keeps the kernel's answer.
func unackedBytes(raw syscall.RawConn) (uint64, error) {
	var n uint32
	var asked error
	err := raw.Control(func(fd uintptr) {
		var err error
		if n, err = unix.IoctlGetUint32(int(fd), unix.SIOCOUTQ); err != nil {
			asked = fmt.Errorf("%w (SIOCOUTQ: %w)", ErrNoCount, err)
			return
		}
		// The state is read after the count: if the connection stands now, it stood then. A reset may empty the send
		// queue, which must not be taken for an acknowledgement. SO_ERROR would tell too, but reading it takes the
		// error away from Read.
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		switch {
		case err != nil:
			asked = fmt.Errorf("%w (TCP_INFO: %w)", ErrNoCount, err)
		case info.State == stateClosed:
			asked = errFailed
		}
	})
	if err != nil {
		return 0, err // closed on this side
	}
	return uint64(n), asked
}

// limitUnacked makes the kernel give a connection up when written bytes stay unacknowledged for the limit.
func limitUnacked(limit time.Duration) func(network, address string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		if limit < 0 {
			return nil
		}
		var set error
		err := raw.Control(func(fd uintptr) {
			ms := max(1, int(limit.Milliseconds())) // 0 would mean the kernel's own limit
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms)
		})
		if err != nil {
			return err
		}
		if set != nil {
			return fmt.Errorf("limit for unacknowledged bytes: %w", set)
		}
		return nil
	}
}

// awaitAnswer makes the kernel hold its next acknowledgement back for the 40 ms in which data may come to carry it: the end of a
// TLS handshake with CONNECT, the next readings. By itself it acknowledges at once in the beginning, in a packet of 40 bytes.
func awaitAnswer(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { // where this can't be asked for, packets more are sent
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	})
}
