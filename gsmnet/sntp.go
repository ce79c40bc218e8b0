package gsmnet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// SNTP is the simple form of NTP (RFC 4330): a client that asks one server now and then.
const (
	sntpSize = 48
	// sntpAsk is leap indicator 0, version 4, mode 3: client.
	sntpAsk = 0<<6 | 4<<3 | 3
	// sntpWait is how long an answer may take. GPRS needs 1 to 2 s, up to 10 s when its queues are full.
	sntpWait = 10 * time.Second
	// sntpTries is how often a question that gets lost is repeated.
	sntpTries = 3
	// sntpEra is seconds from 1900 to 1970. Its counter begins anew in 2036.
	sntpEra = 2208988800
)

// sntp asks Config.TimeServer.
func (m *Modem) sntp(ctx context.Context) (Clock, error) {
	c, err := m.DialContext(ctx, "udp", m.cfg.TimeServer)
	if err != nil {
		return Clock{}, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	for range sntpTries {
		clock, aerr := askSNTP(ctx, c)
		if aerr == nil {
			return clock, nil
		}
		if err = aerr; ctx.Err() != nil {
			err = ctx.Err()
			break
		}
	}
	return Clock{}, &Error{CauseTCP, "ask " + m.cfg.TimeServer + " for the time", err}
}

// askSNTP does one exchange.
func askSNTP(ctx context.Context, c net.Conn) (Clock, error) {
	q := make([]byte, sntpSize)
	q[0] = sntpAsk
	sent := time.Now()
	// It comes back and proves that an answer is one to this question; no server needs it to be the time.
	binary.BigEndian.PutUint64(q[40:], uint64(sent.UnixNano()))
	if _, err := c.Write(q); err != nil {
		return Clock{}, err
	}
	c.SetReadDeadline(sent.Add(sntpWait))
	if ctx.Err() != nil { // its end has set a deadline before this one
		return Clock{}, ctx.Err()
	}
	a := make([]byte, sntpSize)
	for {
		n, err := c.Read(a)
		if err != nil {
			return Clock{}, err
		}
		if n == sntpSize && binary.BigEndian.Uint64(a[24:]) == binary.BigEndian.Uint64(q[40:]) {
			break // others are late answers to an earlier question
		}
	}
	trip := time.Since(sent)
	t, err := parseSNTP(a)
	if err != nil {
		return Clock{}, err
	}
	return Clock{t.Add(trip / 2), "sntp", trip/2 + 10*time.Millisecond}, nil
}

// parseSNTP checks an answer as RFC 4330, section 5 asks, and returns when it was sent.
func parseSNTP(a []byte) (time.Time, error) {
	leap, mode, stratum := a[0]>>6, a[0]&7, a[1]
	seconds, fraction := binary.BigEndian.Uint32(a[40:]), binary.BigEndian.Uint32(a[44:])
	switch {
	case mode != 4:
		return time.Time{}, fmt.Errorf("the answer is of mode %d, not a server's", mode)
	case leap == 3 || stratum == 0 || stratum > 15:
		return time.Time{}, fmt.Errorf("the time server has no time itself, or refuses to tell it (stratum %d)", stratum)
	case seconds == 0 && fraction == 0:
		return time.Time{}, errors.New("the time server answered without a time")
	}
	unix := int64(seconds) - sntpEra
	if seconds < 1<<31 {
		unix += 1 << 32 // after 2036
	}
	t := time.Unix(unix, int64(uint64(fraction)*uint64(time.Second)>>32)).UTC()
	if t.Before(oldest) {
		return time.Time{}, fmt.Errorf("the time server says %s, which can't be", t.Format(time.DateOnly))
	}
	return t, nil
}
