package mqttconn

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// lowerConn is the dialled connection below TLS, counting what is read from it and when something last moved.
type lowerConn struct {
	Conn
	start uint64 // Written when the session began
	read  atomic.Uint64

	begun time.Time
	heard atomic.Int64 // when bytes last came, in nanoseconds since begun
	spoke atomic.Int64 // when bytes were last taken over to be sent

	mu       sync.Mutex
	segments segments // guarded by mu
	closed   bool     // guarded by mu
}

func newLowerConn(c Conn, air *Air) *lowerConn {
	l := &lowerConn{Conn: c, start: c.Written(), begun: time.Now()}
	l.segments = segments{air: air, opening: true}
	l.segments.established()
	return l
}

func (c *lowerConn) moved(up bool, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.segments.moved(up, n, time.Now())
}

// opened notes the CONNACK, with so many bytes already read behind it.
func (c *lowerConn) opened(ahead int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.segments.opened(ahead)
}

func (c *lowerConn) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.segments.torn()
	}
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *lowerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(uint64(n))
	if n > 0 {
		c.heard.Store(int64(time.Since(c.begun)))
		c.moved(false, n)
	}
	return n, err
}

func (c *lowerConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.spoke.Store(int64(time.Since(c.begun)))
		c.moved(true, n)
	}
	return n, err
}

// drain reads on, for at most so long, until the far end closes the connection.
func (c *lowerConn) drain(ctx context.Context, most time.Duration) {
	_ = c.SetReadDeadline(time.Now().Add(most))
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, _ = io.Copy(io.Discard, c)
}

// quiet is how long nothing has moved in either direction, and how long nothing was sent.
func (c *lowerConn) quiet() (either, unsent time.Duration) {
	now, heard, spoke := time.Since(c.begun), time.Duration(c.heard.Load()), time.Duration(c.spoke.Load())
	return now - max(heard, spoke), now - spoke
}
