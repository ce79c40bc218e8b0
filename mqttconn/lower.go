package mqttconn

import "sync/atomic"

// lowerConn is the dialled connection below TLS, counting what is read from it.
type lowerConn struct {
	Conn
	start uint64 // Written when the session began
	read  atomic.Uint64
}

func newLowerConn(c Conn) *lowerConn {
	return &lowerConn{Conn: c, start: c.Written()}
}

func (c *lowerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(uint64(n))
	return n, err
}
