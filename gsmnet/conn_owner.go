package gsmnet

import (
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// The owner's side of a Conn: what the goroutine that speaks with the module takes from it and gives it.

// pending says what waits to be sent, and since when.
func (c *Conn) pending() (n int, oldest time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.firstOut(), c.oldest
}

// awaited is the first offset that somebody waits for, 0 if nobody does.
func (c *Conn) awaited() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waits) == 0 {
		return 0
	}
	return slices.Min(c.waits)
}

// whole is how many of the first n bytes that wait can go together without tearing a Write apart that fits one send. If a send is
// cut off on the way to the module, filler follows it: then it follows a whole message of whoever writes whole messages, and
// not half of one, to which it would be the other half. 0: the next Write needs more room than n.
func (c *Conn) whole(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	base := c.written - uint64(len(c.out))
	most := 0
	for _, end := range c.ends {
		k := int(end - base)
		if k > n {
			if most == 0 && k > maxSend {
				return n
			}
			return most
		}
		most = k
	}
	if most == 0 {
		return n // the end of the Write is not in the buffer yet
	}
	return most
}

// peek copies the first n bytes that wait to be sent; they stay until sent is called.
func (c *Conn) peek(n int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]byte(nil), c.out[:n]...)
}

// sent removes what the module has taken.
func (c *Conn) sent(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeOut(n)
	c.oldest = time.Now()
	c.writable.wake()
}

// setAcked publishes what the peer has acknowledged.
func (c *Conn) setAcked(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked = n
	c.progress.wake()
}

// setPeer notes who the received data is from.
func (c *Conn) setPeer(a netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peer = a
}

// received adds what came from the peer.
func (c *Conn) received(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.in = append(c.in, p...)
	if c.datagrams() {
		c.inEnds = append(c.inEnds, len(p))
	}
	c.readable.wake()
}

// waiting is how much was received and not read.
func (c *Conn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.in)
}

// readRoom is how much may be taken from the module. A connection that is closed takes everything, to throw it away.
func (c *Conn) readRoom() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return readBuffer
	}
	return max(0, readBuffer-len(c.in))
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// end says what Read, once everything was read, and Write return from now on. The first end counts.
func (c *Conn) end(readErr, writeErr error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readErr != nil {
		return
	}
	c.readErr = readErr
	if c.writeErr == nil {
		c.writeErr = writeErr
	}
	c.wakeAll()
}

// endWrites ends sending alone.
func (c *Conn) endWrites(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writeErr == nil {
		c.writeErr = err
	}
	c.wakeAll()
}

// errPipe is what Write returns after the peer has closed.
var errPipe = &Error{CauseClosed, "send", syscall.EPIPE}
