package source

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how much one local client may hand over in a second; 0: as much as it likes.
type Rate struct {
	Messages int
	Bytes    int // of topics and payloads
}

const (
	// burst is how many seconds' worth a client may hand over at once: who was cut off for a while catches up unhindered.
	burst = 10
	// mostShares clients are remembered; a share costs some 300 bytes.
	mostShares = 1024
)

// shares holds each client to the rate.
type shares struct {
	rate Rate
	// least that a bucket holds: what may come in one request or packet.
	leastMessages, leastBytes int

	mu      sync.Mutex
	clients map[string]*share // guarded by mu
}

// share is what a client has used up. Its limiters are safe for concurrent use.
type share struct {
	messages, bytes *rate.Limiter
	used            time.Time // guarded by shares.mu
}

func newShares(r Rate, leastMessages, leastBytes int) *shares {
	return &shares{rate: r, leastMessages: leastMessages, leastBytes: leastBytes, clients: make(map[string]*share)}
}

// of returns the client's account. Beyond mostShares the one that was silent longest begins anew.
func (s *shares) of(client string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[client]
	if c == nil {
		if len(s.clients) >= mostShares {
			s.forget()
		}
		c = &share{messages: limiter(s.rate.Messages, s.leastMessages), bytes: limiter(s.rate.Bytes, s.leastBytes)}
		s.clients[client] = c
	}
	c.used = time.Now()
	return c
}

func (s *shares) forget() {
	var oldest string
	for name, c := range s.clients {
		if oldest == "" || c.used.Before(s.clients[oldest].used) {
			oldest = name
		}
	}
	delete(s.clients, oldest)
}

func limiter(perSecond, least int) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(burst*perSecond, least))
}

// take books what a client brings, and returns how long it has to wait first.
func (c *share) take(messages, bytes int) time.Duration {
	now := time.Now()
	return max(c.messages.ReserveN(now, messages).DelayFrom(now), c.bytes.ReserveN(now, bytes).DelayFrom(now))
}

// try books what a client brings unless it is too early: then it returns how long the client has to wait.
func (c *share) try(messages, bytes int) time.Duration {
	now := time.Now()
	m, b := c.messages.ReserveN(now, messages), c.bytes.ReserveN(now, bytes)
	wait := max(m.DelayFrom(now), b.DelayFrom(now))
	if wait > 0 {
		m.CancelAt(now)
		b.CancelAt(now)
	}
	return wait
}
