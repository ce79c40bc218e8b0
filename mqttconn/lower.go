package mqttconn

import (
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
}

func newLowerConn(c Conn) *lowerConn {
	return &lowerConn{Conn: c, start: c.Written(), begun: time.Now()}
}

func (c *lowerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(uint64(n))
	if n > 0 {
		c.heard.Store(int64(time.Since(c.begun)))
	}
	return n, err
}

func (c *lowerConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.spoke.Store(int64(time.Since(c.begun)))
	}
	return n, err
}

// quiet is how long nothing has moved in either direction, and how long nothing was sent.
func (c *lowerConn) quiet() (either, unsent time.Duration) {
	now, heard, spoke := time.Since(c.begun), time.Duration(c.heard.Load()), time.Duration(c.spoke.Load())
	return now - max(heard, spoke), now - spoke
}
