package keepalive

import (
	"errors"
	"fmt"
	"time"
)

// What a [Limits] field of zero means.
const (
	// DefaultStart is below the 10 minutes of G6.2 by as much as a ping may be late.
	DefaultStart = 540 * time.Second
	// DefaultLeast is where a data plan goes into pings: 250 KB a day.
	DefaultLeast = 30 * time.Second
	// DefaultMost is the longest keepalive that the large cloud brokers take (1200 s). Beyond it a ping a day is saved for
	// each further quarter of a minute.
	DefaultMost = 20 * time.Minute
	// DefaultPing is a ping and its answer as IP packets: 42 + 42 + 40 bytes.
	DefaultPing = 124
	// DefaultReconnect is TCP and MQTT set up anew (330 bytes), and what the module sent into the void before it was
	// noticed: the ping, again and again for 2 minutes.
	DefaultReconnect = 600
	// DefaultPingTLS and DefaultReconnectTLS are the same under TLS: records of 22 bytes and more, and a resumed handshake.
	DefaultPingTLS      = 168
	DefaultReconnectTLS = 2500
)

const (
	// firstQuiet is how many silences in a row have to end well before a longer one is tried.
	firstQuiet = 2
	// mostQuiet bounds its growth: each failed attempt doubles it.
	mostQuiet = 128
	// horizon is the time over which a longer interval has to pay for the connection that finding it may cost.
	horizon = 30 * 24 * time.Hour
	// again is how long a found length is kept before the next longer one is tried once more.
	again = 7 * 24 * time.Hour
	// closest is how near the shortest length that failed a silence may come, in percent: gateways look for old connections at
	// intervals, and pings are late at times, so a length on the edge loses a connection now and then.
	closest = 90
	// enough is where the search ends, in percent of the length that failed: what is left is a tenth of the pings.
	enough = 85
	// farther is how much more patience is looked for once a week, in percent of the length that failed: less than what
	// may have been a failure on the edge of the same patience would lead back to the edge.
	farther = 120
	// wary is for how many silences a connection that was forgotten after a proven length is remembered. Shortening costs a
	// tenth more pings, which is cheaper than to lose a connection once in 48 (124 and 600 bytes) to 149 (168 and 2500) pings.
	wary = 64
	// quietBeyond is how many silences in a row have to end well before more patience is believed in.
	quietBeyond = 8
)

// The weight of an ended silence. Enough of them in a row make a length too long.
const (
	weightClosed    = 1 // ended with a word: that may be anything else
	weightForgotten = 2 // nothing came back
	enoughUnproven  = 2
	enoughProven    = 4
)

// Limits say within what a learner moves and what things cost.
type Limits struct {
	Start, Least, Most time.Duration
	Ping, Reconnect    int // bytes on the air
}

func (l Limits) withDefaults() Limits {
	if l.Least == 0 {
		l.Least = DefaultLeast
	}
	if l.Most == 0 {
		l.Most = max(DefaultMost, l.Least)
	}
	if l.Start == 0 {
		l.Start = DefaultStart
	}
	l.Start = min(max(l.Start, l.Least), l.Most)
	if l.Ping == 0 {
		l.Ping = DefaultPing
	}
	if l.Reconnect == 0 {
		l.Reconnect = DefaultReconnect
	}
	return l
}

// State is what a learner knows of a network, in a form that can be kept. Lengths are in whole seconds.
type State struct {
	Interval int `json:"interval_s"`          // how long the next silence may be
	Proven   int `json:"proven_s"`            // the longest that ended well; 0: none yet
	TooLong  int `json:"too_long_s"`          // the shortest that did not; 0: none yet
	Quiet    int `json:"quiet"`               // silences of Interval that ended well, in a row
	Need     int `json:"need"`                // so many, and a longer one is tried
	Doubt    int `json:"doubt,omitempty"`     // weight of those that did not, in a row
	Doubted  int `json:"doubted_s,omitempty"` // the shortest of them
	Falls    int `json:"falls,omitempty"`     // times in a row that Interval was shortened
	Lost     int `json:"lost"`                // connections that were forgotten, in all
	Survived int `json:"survived"`            // silences that ended well, in all
	Search   int `json:"search,omitempty"`    // the length that is being tried beyond Proven; 0: none
	Wary     int `json:"wary,omitempty"`      // silences for which a loss at a proven length is remembered; 0: none was of late
}

// Learner finds the length of silence that costs least.
type Learner struct {
	limits Limits
	state  State
}

// New makes a learner that knows nothing yet.
func New(limits Limits) *Learner {
	l := &Learner{limits: limits.withDefaults()}
	l.state = State{Interval: seconds(l.limits.Start), Need: firstQuiet, Falls: 1}
	return l
}

// Restore makes a learner that goes on where another one was. What lies outside of the limits is brought inside.
func Restore(limits Limits, s State) (*Learner, error) {
	l := New(limits)
	if err := s.check(); err != nil {
		return nil, err
	}
	l.state = s
	l.setInterval(time.Duration(s.Interval) * time.Second)
	return l, nil
}

// check refuses what no learner has written.
func (s State) check() error {
	for _, n := range []int{s.Interval - 1, s.Proven, s.TooLong, s.Quiet, s.Need - 1, s.Doubt, s.Doubted, s.Falls, s.Lost, s.Survived, s.Search, s.Wary} {
		if n < 0 {
			return errors.New("keepalive: a negative number in what was remembered")
		}
	}
	if s.TooLong > 0 && s.Proven >= s.TooLong {
		return fmt.Errorf("keepalive: %d s is remembered as proven and %d s as too long", s.Proven, s.TooLong)
	}
	return nil
}

// State returns what is known.
func (l *Learner) State() State { return l.state }

// Interval is how long the next silence may last; it may change with each report.
func (l *Learner) Interval() time.Duration { return time.Duration(l.state.Interval) * time.Second }

// Survived reports that the far end answered after a silence of length d.
func (l *Learner) Survived(d time.Duration) {
	s := &l.state
	n := min(seconds(d), s.Interval) // what a ping that is late by chance proves must not be relied on
	if n < seconds(l.limits.Least) {
		return
	}
	s.Survived++
	if n > s.Proven && (s.TooLong == 0 || n < s.TooLong) {
		s.Proven = n
		s.Falls = 0
	}
	if n >= s.Doubted {
		s.Doubt, s.Doubted = 0, 0
	}
	if n*10 < s.Interval*9 {
		return // says nothing about silences as long as Interval
	}
	s.Wary = max(s.Wary-1, 0)
	if s.Quiet++; s.Quiet < s.Need {
		return
	}
	if s.TooLong > 0 && s.Interval >= s.TooLong {
		s.Proven, s.TooLong, s.Falls = s.Interval, 0, 0 // the network has become more patient
	}
	l.lengthen()
}

// Forgotten reports that nothing came back after a silence of length d, although the network was there.
func (l *Learner) Forgotten(d time.Duration) { l.ended(d, weightForgotten) }

// Closed reports that the connection was ended with a word after a silence of length d, which a gateway may do as well as
// a broker that restarts.
func (l *Learner) Closed(d time.Duration) { l.ended(d, weightClosed) }

func (l *Learner) ended(d time.Duration, weight int) {
	s := &l.state
	n := min(seconds(d), s.Interval)
	if n <= seconds(l.limits.Least) {
		return // no shorter silence is allowed anyway
	}
	if weight == weightForgotten {
		s.Lost++
	}
	s.Quiet = 0
	s.Doubt += weight
	if s.Doubted == 0 || n < s.Doubted {
		s.Doubted = n
	}
	switch {
	case n > s.Proven:
		if s.Doubt >= enoughUnproven {
			l.shorten(n)
		}
	case s.Doubt >= enoughProven || weight == weightForgotten && s.Wary > 0:
		l.shorten(n)
	case weight == weightForgotten:
		s.Wary = wary
	}
}

// shorten goes back to what is proven, or gropes downward if nothing is that lies far enough below n.
func (l *Learner) shorten(n int) {
	s := &l.state
	s.Doubt, s.Doubted, s.Quiet, s.Search, s.Wary = 0, 0, 0, 0, 0
	s.Need = min(2*s.Need, mostQuiet)
	if s.TooLong == 0 || n < s.TooLong {
		s.TooLong = n
	}
	if s.Proven > 0 && s.Proven < n {
		l.setInterval(time.Duration(min(s.Proven, l.margin())) * time.Second)
		return
	}
	s.Proven = 0
	down := n / 2
	if s.Falls == 0 {
		down = n * 4 / 5 // it held until now: probably not much has changed
	}
	s.Falls++
	l.setInterval(time.Duration(down) * time.Second)
}

// margin is the longest silence that is far enough from the shortest that failed.
func (l *Learner) margin() int { return l.state.TooLong * closest / 100 }

// lengthen tries a longer silence if that can pay.
func (l *Learner) lengthen() {
	s := &l.state
	s.Quiet = 0
	next := s.Proven * 3 / 2
	if s.TooLong > 0 {
		next = min((s.Proven+s.TooLong)/2, l.margin())
	}
	next = min(next, seconds(l.limits.Most))
	if next > s.Interval && l.pays(next) {
		s.Search = next
		l.setInterval(time.Duration(next) * time.Second)
		return
	}
	if s.Need < l.week() { // found: rest
		s.Search, s.Need = 0, l.week()
		return
	}
	if s.TooLong > 0 && s.TooLong <= seconds(l.limits.Most) { // rested: look once whether the network still is as it was
		s.Search = min(s.TooLong*farther/100, seconds(l.limits.Most))
		s.Need = quietBeyond
		l.setInterval(time.Duration(s.Search) * time.Second)
	}
}

// week is how many silences of Interval make up [again].
func (l *Learner) week() int { return max(mostQuiet+1, seconds(again)/l.state.Interval) }

// pays weighs what the longer interval saves within the horizon, if it holds, against a lost connection, if it doesn't.
func (l *Learner) pays(next int) bool {
	s := &l.state
	if s.TooLong > 0 && s.Interval*100 >= s.TooLong*enough {
		return false
	}
	pings := func(interval int) float64 { return horizon.Seconds() / float64(interval) }
	return (pings(s.Interval)-pings(next))*float64(l.limits.Ping) > float64(l.limits.Reconnect)
}

func (l *Learner) setInterval(d time.Duration) {
	l.state.Interval = seconds(min(max(d, l.limits.Least), l.limits.Most))
}

func seconds(d time.Duration) int { return int(d / time.Second) }
