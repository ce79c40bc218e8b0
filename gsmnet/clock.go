package gsmnet

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// Clock is what time it is, and who says so.
type Clock struct {
	Time   time.Time     // at the moment when Time returned, UTC
	Source string        // "network": the operator's, by the module's clock; "sntp": Config.TimeServer's
	Within time.Duration // how far it may be off at most, as far as the source goes
}

// oldest is before which no date is believed: a module's clock begins in 2004 at power-on, and some report 1980 before the network has
// told the time.
var oldest = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// networkWithin allows for the second that the module's clock shows, and as much for the network's own.
const networkWithin = 2 * time.Second

// networkClock is the last time that the network told in a +QNITZ. Owner goroutine only.
type networkClock struct{ told, at time.Time }

// note takes +QNITZ: "18/06/23,11:42:28+22,0".
func (c *networkClock) note(line string, now time.Time) {
	if t, ok := parseClock(line, "+QNITZ:"); ok {
		c.told, c.at = t, now
	}
}

// parseClock reads "yy/MM/dd,hh:mm:ss±zz", local time with its zone in quarter hours (3GPP TS 27.007, +CCLK). A date that can't be is
// refused.
func parseClock(line, prefix string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(line, prefix)
	if !ok {
		return time.Time{}, false
	}
	const layout = "06/01/02,15:04:05"
	text := strings.Trim(strings.TrimSpace(rest), `"`)
	if len(text) < len(layout) {
		return time.Time{}, false
	}
	t, err := time.Parse(layout, text[:len(layout)])
	if err != nil {
		return time.Time{}, false
	}
	if zone, _, _ := strings.Cut(text[len(layout):], ","); zone != "" {
		quarters, err := strconv.Atoi(strings.Trim(zone, `"`))
		if err != nil || quarters < -96 || quarters > 96 {
			return time.Time{}, false
		}
		t = t.Add(-time.Duration(quarters) * 15 * time.Minute)
	}
	return t, !t.Before(oldest)
}

// Time asks what time it is: the network's if it has told it, else that of Config.TimeServer, over UDP, which needs a module that
// carries no connection (else CauseUsage). It brings the module up only for the latter.
func (m *Modem) Time(ctx context.Context) (Clock, error) {
	v, err := m.ask(ctx, m.cmds, func(context.Context) (any, error) { return m.networkTime() })
	if err != nil {
		return Clock{}, err
	}
	if c := v.(Clock); !c.Time.IsZero() {
		return c, nil
	}
	if m.cfg.TimeServer == "" {
		return Clock{}, &Error{CauseUsage, "ask for the time", errors.New("the network has told none, and no time server is configured")}
	}
	return m.sntp(ctx)
}

// networkTime is what the network has told, by +QNITZ or by the module's clock that it has set. Its zero Clock means nothing. On the
// wire:
//
//	AT+CCLK? → +CCLK: "18/06/23,11:42:28+22", OK
func (m *Modem) networkTime() (Clock, error) {
	if c := m.owner.clock; !c.told.IsZero() {
		return Clock{c.told.Add(time.Since(c.at)), "network", networkWithin}, nil
	}
	r, err := m.do(at.Command{Line: "AT+CCLK?", Accept: at.Prefixed("+CCLK:"), Timeout: m.cfg.CommandTimeout})
	if err != nil && !isRefusal(err) {
		return Clock{}, err
	}
	if len(r.Lines) > 0 {
		if t, ok := parseClock(r.Lines[0], "+CCLK:"); ok {
			return Clock{t, "network", networkWithin}, nil
		}
	}
	return Clock{}, nil
}
