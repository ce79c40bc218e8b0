package gsmnet

import (
	"errors"
	"time"
)

// What differs between a stream and datagrams: where a Write and a Read end. The methods are called with mu held, but for datagrams.

var errNoAcks = errors.New("over UDP nothing is acknowledged, and the module's counts mean nothing (G4.6)")

// datagrams reports whether this is UDP (G3.7).
func (c *Conn) datagrams() bool { return c.network == "udp" }

// putOut takes what fits of p, or a datagram whole or not at all.
func (c *Conn) putOut(p []byte) int {
	k := min(len(p), sendBuffer-len(c.out))
	if c.datagrams() {
		if k < len(p) || k == 0 {
			return 0
		}
		c.outEnds = append(c.outEnds, k)
	}
	if len(c.out) == 0 && k > 0 {
		c.oldest = time.Now()
	}
	c.out = append(c.out, p[:k]...)
	c.written += uint64(k)
	return k
}

// firstOut is how much the next send may take: all, or one datagram.
func (c *Conn) firstOut() int {
	if c.datagrams() && len(c.outEnds) > 0 {
		return c.outEnds[0]
	}
	return len(c.out)
}

func (c *Conn) takeOut(n int) {
	c.out = c.out[:copy(c.out, c.out[n:])]
	for base := c.written - uint64(len(c.out)); len(c.ends) > 0 && c.ends[0] <= base; {
		c.ends = c.ends[:copy(c.ends, c.ends[1:])]
	}
	if c.datagrams() {
		c.outEnds = c.outEnds[1:]
	}
}

// firstIn is how much the next Read may take: all, or one datagram.
func (c *Conn) firstIn() int {
	if c.datagrams() {
		return c.inEnds[0]
	}
	return len(c.in)
}

// takeIn removes n bytes that were read, or the datagram that they were of.
func (c *Conn) takeIn(n int) {
	if c.datagrams() {
		n, c.inEnds = c.inEnds[0], c.inEnds[1:]
	}
	c.in = c.in[n:]
}
