package field

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names what goes wrong.
type Kind string

// What can go wrong. Where a fault has a length, it ends by itself after it.
const (
	Coverage    Kind = "coverage lost"
	WeakRadio   Kind = "weak radio"       // packets are lost, round trips are long
	NATForgets  Kind = "nat forgets"      // in silence, as ever
	Context     Kind = "pdp context lost" // +PDP DEACT
	Denied      Kind = "registration denied"
	NoName      Kind = "names not resolved"
	SIMOut      Kind = "sim taken out"
	ModuleBoots Kind = "module reboots"
	ModuleHangs Kind = "module hangs" // until its supply is taken away
	SendsFail   Kind = "sends fail"
	AcksFreeze  Kind = "acknowledged count freezes"
	Noise       Kind = "serial noise"
	Unplugged   Kind = "serial port unplugged"
	LostURCs    Kind = "urcs lost"
	BrokerDown  Kind = "broker restarts" // its sessions live on
	BrokerNew   Kind = "broker forgets its sessions"
	BrokerStuck Kind = "broker stops reading"
	BrokerFull  Kind = "broker refuses"      // CONNACK 3: server unavailable
	BrokerCuts  Kind = "broker hangs up"     // in the middle of a burst
	PowerCut    Kind = "power cut"           // of the whole box, module included
	Killed      Kind = "agent killed"        // the module stays as it is
	Restarted   Kind = "agent restarted"     // as an upgrade does
	DiskFull    Kind = "disk full"           // others have filled it
	Flood       Kind = "sensor floods"       // many readings at once
	AllGone     Kind = "days of no coverage" // long enough for a large backlog
	ClockLeaps  Kind = "clock is stepped"    // by a time server that is wrong, and back
	ClockLost   Kind = "clock lost"          // a power cut, after which it is 1970 for hours
	TornWrite   Kind = "power cut in a write"
	OtherSIM    Kind = "sim of another" // whose PIN is another one
	Pictures    Kind = "large readings" // so many that the queue's file has to shrink after them
	Purged      Kind = "topic purged"   // by an operator
	Asked       Kind = "asked to reconnect"
)

// odds is how often a kind begins, in a month, and how long it lasts at least and at most. The figures are those of a bad
// site rather than of an average one: coverage comes and goes several times a day, power fails every few days.
var odds = []struct {
	kind        Kind
	month       float64
	least, most time.Duration
}{
	{Coverage, 60, 20 * time.Second, 3 * time.Hour},
	{WeakRadio, 20, 5 * time.Minute, 2 * time.Hour},
	{NATForgets, 30, 0, 0},
	{Context, 20, 0, 0},
	{Denied, 3, time.Minute, 30 * time.Minute},
	{NoName, 4, time.Minute, 20 * time.Minute},
	{SIMOut, 2, 30 * time.Second, 10 * time.Minute},
	{ModuleBoots, 8, 0, 0},
	{ModuleHangs, 3, 10 * time.Minute, 40 * time.Minute},
	{SendsFail, 10, time.Minute, 10 * time.Minute},
	{AcksFreeze, 5, time.Minute, 10 * time.Minute},
	{Noise, 8, 30 * time.Second, 5 * time.Minute},
	{Unplugged, 4, time.Second, 2 * time.Minute},
	{LostURCs, 10, time.Minute, 20 * time.Minute},
	{BrokerDown, 10, time.Second, 10 * time.Minute},
	{BrokerNew, 4, 0, 0},
	{BrokerStuck, 5, 30 * time.Second, 20 * time.Minute},
	{BrokerFull, 4, time.Minute, 15 * time.Minute},
	{BrokerCuts, 20, 0, 0},
	{PowerCut, 12, 2 * time.Second, 20 * time.Minute},
	{Killed, 8, time.Second, 10 * time.Second},
	{Restarted, 6, 0, 0},
	{DiskFull, 4, time.Minute, 3 * time.Hour},
	{Flood, 10, 0, 0},
	{AllGone, 1, 12 * time.Hour, 60 * time.Hour},
	{ClockLeaps, 6, time.Minute, 6 * time.Hour},
	{ClockLost, 3, 2 * time.Second, 20 * time.Minute},
	{TornWrite, 8, 2 * time.Second, 5 * time.Minute},
	{OtherSIM, 3, 20 * time.Minute, 3 * time.Hour},
	{Pictures, 4, 0, 0},
	{Purged, 2, 0, 0},
	{Asked, 4, 0, 0},
}

const month = 30 * 24 * time.Hour

// Fault is one thing that goes wrong.
type Fault struct {
	Kind Kind
	At   time.Duration // since the start of the run
	For  time.Duration // 0: a moment
}

func (f Fault) String() string {
	if f.For == 0 {
		return fmt.Sprintf("%s %s", clockOf(f.At), f.Kind)
	}
	return fmt.Sprintf("%s %s for %s", clockOf(f.At), f.Kind, f.For.Round(time.Second))
}

// clockOf writes a moment of the run as day and time of day.
func clockOf(d time.Duration) string {
	day := d / (24 * time.Hour)
	rest := (d % (24 * time.Hour)).Round(time.Second)
	return fmt.Sprintf("day %d %02d:%02d:%02d", day+1, int(rest.Hours()), int(rest.Minutes())%60, int(rest.Seconds())%60)
}

// draw makes the plan of a seed: the faults of a run of so long, in order. Each gap between two faults of a kind is
// exponential, as when nothing knows of anything else.
func draw(seed uint64, length time.Duration) []Fault {
	var plan []Fault
	for i, o := range odds {
		r := rand.New(rand.NewPCG(seed, uint64(i)+1))
		mean := float64(month) / o.month
		for at := time.Duration(r.ExpFloat64() * mean); at < length; at += time.Duration(r.ExpFloat64() * mean) {
			f := Fault{Kind: o.kind, At: at}
			if o.most > 0 {
				// Short ones are the most frequent: uniform in the exponent.
				f.For = time.Duration(float64(o.least) * math.Pow(float64(o.most)/float64(o.least), r.Float64()))
			}
			plan = append(plan, f)
		}
	}
	ambush(plan, rand.New(rand.NewPCG(seed, 1<<42)), length)
	for _, f := range plan {
		if f.Kind == OtherSIM { // nothing but a restart or an hour makes the agent try again
			plan = append(plan, Fault{Kind: Killed, At: f.At + f.For/2, For: 5 * time.Second})
		}
	}
	if last := 30*time.Minute + time.Duration(rand.New(rand.NewPCG(seed, 1<<43)).Int64N(int64(6*time.Hour))); last < length/4 {
		plan = append(plan, Fault{Kind: Coverage, At: length - last, For: 2 * last}) // so that there is something to drain at the end
	}
	slices.SortStableFunc(plan, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return plan
}

// ambush moves half of the sudden faults to where they hurt: a moment after the end of one that made a backlog, while it
// drains, or, for a step of the clock, into an outage. Left to chance, nearly all of them would meet an idle connection.
func ambush(plan []Fault, r *rand.Rand, length time.Duration) {
	var drains []time.Duration
	var outages []Fault
	for _, f := range plan {
		if (f.Kind == Coverage || f.Kind == AllGone) && f.For > time.Hour {
			outages = append(outages, f)
		}
		if slices.Contains([]Kind{Coverage, AllGone, Denied, NoName, BrokerDown, BrokerFull}, f.Kind) && f.At+f.For < length {
			drains = append(drains, f.At+f.For)
		}
	}
	if len(drains) == 0 {
		return
	}
	for i, f := range plan {
		switch f.Kind {
		case ClockLeaps: // where readings wait whose age it may garble
			if len(outages) > 0 && r.IntN(2) == 0 {
				o := outages[r.IntN(len(outages))]
				plan[i].At = o.At + time.Duration(r.Int64N(int64(o.For)))
			}
		case NATForgets, Context, Pictures, ModuleBoots, ModuleHangs, SendsFail, AcksFreeze, Unplugged, BrokerNew, BrokerCuts, BrokerStuck, PowerCut, Killed, TornWrite, Purged, Asked:
			if r.IntN(2) == 0 {
				plan[i].At = drains[r.IntN(len(drains))] + time.Duration(r.IntN(90_000))*time.Millisecond
			}
		}
	}
}

// Replay names a run so that it can be run again: the seed, its length, and which of the plan's faults it has. It is written
// as SEED, SEED:HOURS or SEED:HOURS:1,4,9.
type Replay struct {
	Seed  uint64
	Hours int
	Only  []int // places in the plan, ascending; nil: all
}

func (r Replay) String() string {
	s := fmt.Sprintf("%d:%d", r.Seed, r.Hours)
	if r.Only != nil {
		places := make([]string, len(r.Only))
		for i, p := range r.Only {
			places[i] = strconv.Itoa(p)
		}
		s += ":" + strings.Join(places, ",")
	}
	return s
}

// ParseReplay reads what String writes; a seed alone gets the given number of hours.
func ParseReplay(text string, hours int) (Replay, error) {
	bad := func(what string) (Replay, error) {
		return Replay{}, fmt.Errorf("field: %q: %s; write SEED, SEED:HOURS or SEED:HOURS:1,4,9", text, what)
	}
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return bad("too many parts")
	}
	r := Replay{Hours: hours}
	var err error
	if r.Seed, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return bad("the seed is not a number")
	}
	if len(parts) > 1 {
		if r.Hours, err = strconv.Atoi(parts[1]); err != nil || r.Hours < 1 {
			return bad("the hours are not a number from 1")
		}
	}
	if len(parts) > 2 {
		r.Only = []int{}
		for p := range strings.SplitSeq(parts[2], ",") {
			if p == "" {
				continue
			}
			n, err := strconv.Atoi(p)
			if err != nil || n < 0 {
				return bad("a fault's place is not a number from 0")
			}
			r.Only = append(r.Only, n)
		}
	}
	return r, nil
}

// secured reports whether the broker of this run speaks TLS: every second one does.
func (r Replay) secured() bool { return r.Seed%2 == 0 }

// encoding is the form in which the readings of this run travel.
func (r Replay) encoding() string {
	return []string{"plain", "envelope", "batch"}[r.Seed/2%3]
}

// Plan returns the faults of the run, in order.
func (r Replay) Plan() []Fault {
	all := draw(r.Seed, time.Duration(r.Hours)*time.Hour)
	if !r.secured() {
		// Plain MQTT has no checksum of its own, and TCP's begins in the module: what the serial line alters arrives altered.
		all = slices.DeleteFunc(all, func(f Fault) bool { return f.Kind == Noise })
	}
	if r.Only == nil {
		return all
	}
	var some []Fault
	for _, i := range r.Only {
		if i < len(all) {
			some = append(some, all[i])
		}
	}
	return some
}
