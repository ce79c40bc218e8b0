package mqttconn

import (
	"context"
	"fmt"
	"time"
)

// leastSilence is what counts as silence: shorter pauses happen within an exchange.
const leastSilence = 20 * time.Second

// pinger keeps the connection: the guard's own, since Paho's looks every 5 s only, pings while messages of QoS 0 flow, and
// can't change its interval. Guarded by the guard's mutex.
type pinger struct {
	after   func() time.Duration
	most    time.Duration // what CONNECT has promised (section 3.1.2.10)
	timeout time.Duration
	heard   func(time.Duration)

	since   time.Time     // when the ping that is unanswered was queued; zero: none is
	silence time.Duration // what came before bytes to which nothing has come back yet; 0: nothing is outstanding
}

// keepAlive pings whenever it has been silent for too long, and ends the session when a ping stays unanswered.
func (g *guard) keepAlive(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-g.stirred:
		case <-ctx.Done():
			return
		}
		wait := g.untilPing()
		switch {
		case wait > 0:
		case g.pinging():
			g.unanswered()
			return
		default:
			g.enqueue(packet{kind: typePingreq, bytes: []byte{typePingreq << 4, 0}})
			wait = g.ping.timeout
		}
		timer.Reset(wait)
	}
}

// untilPing is how long until something is due: the next ping, or the end of the patience with the last one. What the
// function of the configuration returns may change with each silence that ends, so it is asked again then.
func (g *guard) untilPing() time.Duration {
	after := min(g.ping.after(), g.ping.most)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.connack == nil {
		return time.Second // until then the limit for connecting counts
	}
	if !g.ping.since.IsZero() {
		return g.ping.timeout - time.Since(g.ping.since)
	}
	quiet, unsent := g.lower.quiet()
	return min(after-quiet, g.ping.most-unsent)
}

func (g *guard) pinging() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.ping.since.IsZero()
}

func (g *guard) unanswered() {
	g.mu.Lock()
	since := g.ping.since
	g.mu.Unlock()
	g.fail(&Error{Op: "session", Cause: CauseSilent, Err: fmt.Errorf("broker %s did not answer the ping of %v ago",
		g.lower.RemoteAddr(), time.Since(since).Round(time.Second))})
}

// speaks notes how long it has been silent, before bytes leave.
func (g *guard) speaks() {
	quiet, _ := g.lower.quiet()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ping.silence == 0 && quiet >= leastSilence {
		g.ping.silence = quiet
	}
}

// answered notes that the far end has received what was sent.
func (g *guard) answered() {
	g.mu.Lock()
	silence := g.ping.silence
	g.ping.silence = 0
	g.mu.Unlock()
	if silence == 0 {
		return
	}
	if g.ping.heard != nil {
		g.ping.heard(silence)
	}
	signal(g.stirred)
}

// Silence tells what the connection's last silence was. With unanswered, bytes were sent after a silence of length d to which
// nothing came back: a path that has forgotten the connection looks like that. Without, it has been silent for d since.
func (s *Session) Silence() (d time.Duration, unanswered bool) {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	if d := s.guard.ping.silence; d > 0 {
		return d, true
	}
	select {
	case <-s.done:
		return s.quiet, false
	default:
	}
	quiet, _ := s.lower.quiet()
	return quiet, false
}
