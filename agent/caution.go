package agent

import "time"

// Caution keeps what is nice to have from costing what is needed: some brokers end the connection over a message or a
// subscription that they don't allow, instead of saying so. The zero value allows everything. It is not safe for concurrent
// use.
type Caution struct {
	strikes int
	until   time.Time
}

const (
	// mostStrikes in a row are hardly chance: a broker can stop in the second between a message and its answer.
	mostStrikes = 3
	// cautious is how long nothing is tried then: somebody may have changed what the broker allows.
	cautious = 24 * time.Hour
)

// Allows reports whether to try it on this connection.
func (c *Caution) Allows(now time.Time) bool { return !now.Before(c.until) }

// Ended notes that the broker has ended a connection on which it was tried, or that it has answered for it. It reports
// whether it is given up from now on.
func (c *Caution) Ended(answered bool, now time.Time) (gaveUp bool) {
	if answered {
		c.strikes = 0
		return false
	}
	if c.strikes++; c.strikes < mostStrikes {
		return false
	}
	c.strikes, c.until = 0, now.Add(cautious)
	return true
}
