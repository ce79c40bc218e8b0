package mqttconn

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// secureConn is TLS over the dialled connection. What TLS says beside MQTT travels with it: the end of the handshake with
// CONNECT, and close_notify with DISCONNECT. Each would be a segment, and a send of a module, of its own; and a kernel that
// gathers small writes (RFC 896) would send CONNECT a round trip later.
type secureConn struct {
	*tls.Conn
	seam *seam
}

// secure shakes hands over lower, which it closes if that fails.
func secure(ctx context.Context, lower net.Conn, cfg *tls.Config) (*secureConn, error) {
	c := &secureConn{seam: &seam{Conn: lower, shaking: true}}
	c.Conn = tls.Client(c.seam, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		stop := context.AfterFunc(ctx, func() { _ = lower.Close() })
		_ = c.seam.flush() // the alert: without it the broker's log doesn't tell why
		stop()
		_ = lower.Close()
		return nil, handshakeError(fmt.Errorf("TLS handshake with %s: %w", lower.RemoteAddr(), err))
	}
	c.seam.shaking = false
	return c, nil
}

// WriteLast writes p and says that nothing follows.
func (c *secureConn) WriteLast(p []byte) error {
	c.seam.gathers = true
	if _, err := c.Write(p); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	_ = c.SetWriteDeadline(time.Time{}) // CloseWrite leaves one that has passed; the caller bounds the write
	return c.seam.flush()
}

// seam is the connection below TLS, where records are joined. It is written to by one goroutine at a time, as TLS does it.
type seam struct {
	net.Conn
	shaking bool // until hands are shaken; what is written then leaves before something is read, or with what follows
	gathers bool // what is written waits for flush
	held    []byte
}

func (s *seam) Read(p []byte) (int, error) {
	if s.shaking {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	return s.Conn.Read(p)
}

func (s *seam) Write(p []byte) (int, error) {
	if s.shaking || s.gathers {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	if len(s.held) == 0 {
		return s.Conn.Write(p)
	}
	s.held = append(s.held, p...)
	if err := s.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *seam) flush() error {
	if len(s.held) == 0 {
		return nil
	}
	held := s.held
	s.held = nil
	_, err := s.Conn.Write(held)
	return err
}
