package gsmsim

import (
	"fmt"
	"time"
)

// clock is the module's real-time clock and what the network told it.
type clock struct {
	since       time.Time // power-on, when the clock stood at its default
	set         time.Time // the time that was set last
	setAt       time.Time // and when
	fromNetwork bool
	report      bool // AT+QNITZ=1
	engineering int  // AT+QENG
}

// rtcStart is what the clock shows after power-on.
var rtcStart = time.Date(2004, 1, 1, 0, 0, 0, 0, time.UTC)

// layout is that of AT+CCLK without the zone.
const layout = "06/01/02,15:04:05"

func (c *clock) now(t time.Time) time.Time {
	if !c.setAt.IsZero() {
		return c.set.Add(t.Sub(c.setAt))
	}
	return rtcStart.Add(t.Sub(c.since))
}

// networkTime is what the operator sends at registration.
func (c *clock) networkTime(m *Module) {
	if m.cfg.Network.NoTime {
		return
	}
	c.set, c.setAt, c.fromNetwork = m.now.UTC().Round(0), m.now, true
	if c.report {
		m.urc(c.nitz(m.now))
	}
}

// nitz is the network time with its zone in quarter hours. Before registration it is the bogus
// one that such modules report.
func (c *clock) nitz(now time.Time) string {
	if !c.fromNetwork {
		return `+QNITZ: "80/01/06,00:00:14+22"`
	}
	return fmt.Sprintf(`+QNITZ: "%s+00,0"`, c.now(now).Format(layout))
}

func (m *Module) clockCommand(c command) result {
	k := &m.clock
	switch c.key() {
	case "+CCLK?":
		m.info(`+CCLK: "%s+00"`, k.now(m.now).Format(layout))
	case "+CCLK=":
		t, err := time.Parse(layout, c.arg(0)[:min(len(c.arg(0)), len(layout))])
		if err != nil {
			return resCME(cmeBadParameters)
		}
		k.set, k.setAt, k.fromNetwork = t, m.now, false
	case "+QNITZ=":
		var n int
		r := setInt(&n, c, 0, 1)
		k.report = n == 1
		return r
	case "+QNITZ?":
		m.info("+QNITZ: %d", number(k.report))
	case "+QNITZ ", "+QLTS ":
		m.info("%s", k.nitz(m.now))
	default:
		return result{kind: unknown}
	}
	return resOK
}
