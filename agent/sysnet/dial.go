package sysnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// defaultTimeout leaves room for five repeats of the SYN, which the kernel sends after 1, 3, 7, 15 and 31 s.
	defaultTimeout = time.Minute
	// defaultUnackedLimit is the time after which undelivered data means a broken connection (G6.4: 24 questions, 5 s apart).
	defaultUnackedLimit = 2 * time.Minute
)

// Dialer opens connections. The zero value is ready to use.
type Dialer struct {
	// Timeout limits one attempt, name lookup included; 0 means one minute. An earlier end of the context wins.
	Timeout time.Duration
	// UnackedLimit is how long written bytes may stay unacknowledged until the kernel gives the connection up, on
	// Linux. 0 means two minutes; below 0 the kernel's own limit holds, which is about a quarter of an hour.
	UnackedLimit time.Duration
}

// DialContext connects to address, a "host:port", over network "tcp", "tcp4" or "tcp6". It blocks until the connection
// stands, the attempt fails, or ctx ends; ctx doesn't matter to the connection afterwards. Its errors say what to look
// at and wrap the network's own (*net.DNSError, syscall.ECONNREFUSED, os.ErrDeadlineExceeded …).
func (d *Dialer) DialContext(ctx context.Context, network, address string) (*Conn, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, fmt.Errorf("sysnet: network %q can't carry MQTT: use tcp", network)
	}
	dialer := net.Dialer{
		Timeout:   d.Timeout,
		KeepAlive: -1,
		Control:   limitUnacked(d.unackedLimit()),
	}
	if dialer.Timeout == 0 {
		dialer.Timeout = defaultTimeout
	}
	dialer.SetMultipathTCP(false) // the kernel's count and state are those of one plain TCP connection
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, explain(address, err)
	}
	tcp := conn.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("sysnet: %w", err)
	}
	// A lone write leaves at once all the same. Behind others it fills their last segment instead of making one of its own:
	// what is written is gathered already, and half a packet of headers in ten readings is paid for.
	if err := tcp.SetNoDelay(false); err != nil {
		tcp.Close()
		return nil, fmt.Errorf("sysnet: %w", err)
	}
	awaitAnswer(raw)
	return &Conn{Conn: tcp, raw: raw, closed: make(chan struct{})}, nil
}

func (d *Dialer) unackedLimit() time.Duration {
	if d.UnackedLimit == 0 {
		return defaultUnackedLimit
	}
	return d.UnackedLimit
}

// explain puts what a person can do in front of the network's own error.
func explain(address string, err error) error {
	var dns *net.DNSError
	var form *net.AddrError
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("sysnet: connecting to %s was given up: %w", address, err)
	case errors.As(err, &form):
		return fmt.Errorf("sysnet: %q is not a host and a port such as broker.example:1883: %w", address, err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("sysnet: no address is known for the host in %s, check its spelling: %w", address, err)
	case errors.As(err, &dns):
		return fmt.Errorf("sysnet: the name server gave no address for %s, check the network and its name servers: %w", address, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("sysnet: %s refused the connection, check that the broker runs and listens on this port: %w", address, err)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return fmt.Errorf("sysnet: no route leads to %s, check that the network is up: %w", address, err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return fmt.Errorf("sysnet: %s did not answer in time, check the address and firewalls on the way: %w", address, err)
	}
	return fmt.Errorf("sysnet: connecting to %s: %w", address, err)
}
