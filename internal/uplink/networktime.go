package uplink

import (
	"context"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
)

// networkTime is the last time that the network or a time server has told.
type networkTime struct {
	told, at time.Time
	source   string
}

func (n *networkTime) set(told time.Time, source string) {
	n.told, n.at, n.source = told, time.Now(), source
}

// now is the zero time when nobody has told it.
func (n *networkTime) now() (time.Time, string) {
	if n.told.IsZero() {
		return time.Time{}, ""
	}
	return n.told.Add(time.Since(n.at)), n.source
}

// NetworkTime is what time it is by the network or the time server.
func (l *modemLink) NetworkTime() (time.Time, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.time.now()
}

// timeWithin bounds what a time server may cost before a connection: three questions of 10 s, and opening and closing.
const timeWithin = 45 * time.Second

// askTime asks the time server, once in the life of a process, if the network has told no time. It is asked ahead of the connection,
// since the module carries one at a time. Without an answer the link goes on: readings keep the stamps that they have.
func (l *modemLink) askTime(ctx context.Context, modem *gsmnet.Modem) {
	if now, _ := l.NetworkTime(); l.modemConfig.TimeServer == "" || !now.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeWithin)
	defer cancel()
	c, err := modem.Time(ctx)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.time.set(c.Time, c.Source)
}
