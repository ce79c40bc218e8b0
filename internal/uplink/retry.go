package uplink

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// modemPaces are the first and the longest wait after a failure of the module or of the radio network. The module's
// bring-up waits by itself for what is under way (3 minutes for a network to be found), and its restarts have a
// ladder of their own (G9.4), so most of these are short: coverage that returns is used at once. What costs the
// operator's patience or wants a person is tried rarely.
var modemPaces = map[gsmnet.Cause]struct{ first, most time.Duration }{
	gsmnet.CausePort:      {2 * time.Second, 30 * time.Second},
	gsmnet.CausePower:     {5 * time.Second, time.Minute},
	gsmnet.CauseSIM:       {15 * time.Second, 2 * time.Minute},
	gsmnet.CausePIN:       {time.Hour, time.Hour},
	gsmnet.CauseSearching: {2 * time.Second, 10 * time.Second},
	gsmnet.CauseDenied:    {10 * time.Minute, time.Hour},
	gsmnet.CauseRoaming:   {10 * time.Minute, time.Hour},
	gsmnet.CauseAttach:    {5 * time.Second, 5 * time.Minute},
	gsmnet.CauseAPN:       {10 * time.Second, 10 * time.Minute},
	gsmnet.CauseContext:   {2 * time.Second, 2 * time.Minute},
	gsmnet.CauseLink:      {2 * time.Second, 2 * time.Minute},
	gsmnet.CauseProtocol:  {2 * time.Second, 2 * time.Minute},
}

// stableAfter is how long a session must have stood for a module's waits to start anew, as in mqttconn.Backoff.
const stableAfter = 5 * time.Minute

// turnWait bounds the random wait before the next broker of a list is tried. Of 10 000 devices at three nodes of a cluster the 3333 of
// one that is lost then come to the two others at 170 a second each; a single core does 200 handshakes and more.
const turnWait = 10 * time.Second

// retry decides how long to wait before the next attempt. What the module or its network did is nobody else's business;
// everything from the broker's address upwards is met with the jitter that keeps a fleet from returning at once.
func retry(b *brokers) func(err error, stood time.Duration) time.Duration {
	var fleet mqttconn.Backoff
	var modem *backoff.ExponentialBackOff
	var last gsmnet.Cause
	return func(err error, stood time.Duration) time.Duration {
		cause := gsmnet.CauseOf(err)
		pace, ok := modemPaces[cause]
		var le *agent.LinkError
		if !ok && (errors.As(err, &le) && le.Others || b.goesOn(stood)) {
			return rand.N(turnWait)
		}
		if !ok && len(b.list) > 1 && stood == 0 {
			if wait := b.barredFor(); wait > 0 {
				return wait
			}
			if mqttconn.CauseOf(err) != mqttconn.CauseUnavailable {
				return fleet.Next(mqttconn.CauseNetwork, stood) // the last one's refusal doesn't count against the others
			}
		}
		if !ok {
			return fleet.Next(mqttconn.CauseOf(err), stood)
		}
		if modem == nil || cause != last || stood >= stableAfter {
			modem, last = backoff.NewExponentialBackOff(), cause
			modem.InitialInterval, modem.MaxInterval, modem.Multiplier = pace.first, pace.most, 2
			modem.Reset()
		}
		return max(pace.first, modem.NextBackOff()) // its jitter goes both ways
	}
}
