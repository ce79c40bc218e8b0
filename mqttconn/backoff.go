package mqttconn

import (
	"math/rand/v2"
	"time"
)

// defaultStable is how long a session must have stood for the link to count as good again: the time of a few hundred
// messages, and longer than the flapping at the edge of coverage lasts.
const defaultStable = 5 * time.Minute

// Backoff computes how long to wait before connecting again, with decorrelated jitter: each wait is random between a
// minimum and three times the one before, so that a fleet that lost its broker at one moment spreads out. The first wait is
// random as well, since that first moment is the worst for the broker. The zero value is ready. It is for one goroutine.
type Backoff struct {
	// Rand gives numbers in [0, 1); nil: math/rand/v2.
	Rand func() float64
	// Stable is how long a session must have stood to start anew with short waits; 0: 5 min.
	Stable time.Duration

	pace pace
	last time.Duration
}

// pace is how waits grow for one kind of failure.
type pace struct{ least, first, most time.Duration }

// The library at hand for backoff has neither decorrelated jitter nor a source of randomness as a parameter.
//
// paceNetwork is for failures that end by themselves: a model of 10 000 devices that lose a broker with 200 handshakes a
// second (TestFleetComesBackSlowly) has 99 % back within 2.5 times the least possible, 1100 SYNs in the worst
// second, and 1 KB wasted a device if the broker is away for 10 min.
func paceNetwork() pace { return pace{10 * time.Second, 40 * time.Second, 125 * time.Second} }

// paceOf says how eager to be. What only a person can mend is tried rarely: each attempt costs bytes, and a broker may
// lock out who keeps knocking with a wrong password.
func paceOf(c Cause) pace {
	switch c {
	case CauseCredentials, CauseIdentifier:
		return pace{time.Hour, 2 * time.Hour, 6 * time.Hour}
	case CauseCertificate, CauseTLS:
		return pace{45 * time.Minute, 75 * time.Minute, 75 * time.Minute}
	case CauseProtocol, CauseConfig:
		return pace{10 * time.Minute, 20 * time.Minute, time.Hour}
	case CauseUnavailable:
		return pace{30 * time.Second, time.Minute, 10 * time.Minute}
	}
	return paceNetwork()
}

// Next is the wait after a failure of the given cause. lasted is how long the session stood before it, 0 if it never did.
func (b *Backoff) Next(cause Cause, lasted time.Duration) time.Duration {
	stable := b.Stable
	if stable == 0 {
		stable = defaultStable
	}
	random := b.Rand
	if random == nil {
		random = rand.Float64
	}
	if p := paceOf(cause); p != b.pace || lasted >= stable {
		b.pace, b.last = p, 0
	}
	upper := b.pace.first
	if b.last > 0 {
		upper = min(b.pace.most, max(b.pace.first, 3*b.last))
	}
	b.last = b.pace.least + time.Duration(random()*float64(upper-b.pace.least))
	return b.last
}
