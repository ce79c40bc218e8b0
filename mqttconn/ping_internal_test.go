package mqttconn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The bytes of an answer are heard before it is known to be the PINGRESP. The goroutine that pings may look in between; the
// next ping must come in time all the same. From outside this happens once in hundreds of pings.
func TestPingComesInTimeWhateverIsSeenFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{KeepAlive: 50 * time.Second, PingTimeout: 2 * time.Minute, PingAfter: func() time.Duration { return 50 * time.Second }}
		lower := &lowerConn{begun: time.Now()}
		g := newGuard(lower, nil, cfg, nil, func(err error) { t.Error(err) })
		g.connack = &connack{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.keepAlive(ctx) }()
		for want := range uint64(5) {
			if got := g.pings(); got != want {
				t.Errorf("%d pings after %d silences of 51 s, want one each", got, want)
			}
			time.Sleep(50 * time.Second)
			synctest.Wait()
			g.speaks() // the ping leaves
			lower.spoke.Store(int64(time.Since(lower.begun)))
			time.Sleep(time.Second)
			lower.heard.Store(int64(time.Since(lower.begun)))
			g.answered()
			synctest.Wait()
			g.ponged()
		}
		cancel()
		<-done
	})
}

func (g *guard) pings() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats.Pings
}
