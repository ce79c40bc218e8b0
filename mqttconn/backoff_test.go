package mqttconn_test

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestBackoffStaysWithinThePaceOfItsCause(t *testing.T) {
	tests := []struct {
		cause       mqttconn.Cause
		least, most time.Duration
	}{
		{mqttconn.CauseNetwork, 10 * time.Second, 125 * time.Second},
		{mqttconn.CauseSilent, 10 * time.Second, 125 * time.Second},
		{mqttconn.CauseDNS, 10 * time.Second, 125 * time.Second},
		{mqttconn.CauseUnavailable, 30 * time.Second, 10 * time.Minute},
		{mqttconn.CauseProtocol, 10 * time.Minute, time.Hour},
		{mqttconn.CauseCertificate, 45 * time.Minute, 75 * time.Minute},
		{mqttconn.CauseCredentials, time.Hour, 6 * time.Hour},
		{mqttconn.CauseIdentifier, time.Hour, 6 * time.Hour},
	}
	for _, tt := range tests {
		random := rand.New(rand.NewPCG(1, 2))
		b := mqttconn.Backoff{Rand: random.Float64}
		var longest time.Duration
		for i := range 1000 {
			got := b.Next(tt.cause, 0)
			if got < tt.least || got > tt.most {
				t.Fatalf("%s, wait %d: got %v, want %v to %v", tt.cause, i, got, tt.least, tt.most)
			}
			longest = max(longest, got)
		}
		if longest < tt.most*9/10 {
			t.Errorf("%s: longest wait %v never comes near %v", tt.cause, longest, tt.most)
		}
	}
}

func TestBackoffGrowsUntilASessionWasStable(t *testing.T) {
	b := mqttconn.Backoff{Rand: func() float64 { return 0.999 }, Stable: 10 * time.Minute}
	next := func(lasted time.Duration) time.Duration {
		return b.Next(mqttconn.CauseNetwork, lasted).Round(time.Second)
	}
	steps := []struct {
		lasted, want time.Duration
	}{
		{0, 40 * time.Second},
		{0, 120 * time.Second},
		{time.Minute, 125 * time.Second}, // connected, but not for long enough
		{9 * time.Minute, 125 * time.Second},
		{10 * time.Minute, 40 * time.Second},
		{0, 120 * time.Second},
	}
	for i, step := range steps {
		if got := next(step.lasted); got != step.want {
			t.Errorf("wait %d after %v: got %v, want %v", i, step.lasted, got, step.want)
		}
	}
	if got := b.Next(mqttconn.CauseCredentials, 0); got < time.Hour {
		t.Errorf("another cause must go at its own pace: got %v", got)
	}
	if got := next(0); got != 40*time.Second {
		t.Errorf("and the first begins anew: got %v, want 40s", got)
	}
}

// TestFleetComesBackSlowly models 10 000 devices that lose their broker within one second. The broker finishes 200
// handshakes a second and lets 100 connections wait; to a SYN beyond that it says nothing, and TCP sends it again.
func TestFleetComesBackSlowly(t *testing.T) {
	const least = 50.0 // seconds for 10 000 handshakes
	for _, away := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		f := newFleet(10_000, away)
		f.run()
		t.Logf("away %v: 99 %% back %.0f s after, %d SYNs in the worst second, %d bytes wasted a device",
			away, f.back99, f.worst, f.wasted)
		if f.back99 > 2.5*least {
			t.Errorf("away %v: 99 %% are back after %.0f s, want at most %.0f", away, f.back99, 2.5*least)
		}
		if f.worst > 1500 {
			t.Errorf("away %v: %d SYNs in the worst second, want at most 1500", away, f.worst)
		}
		if f.wasted > 1024 {
			t.Errorf("away %v: %d bytes wasted a device, want at most 1024", away, f.wasted)
		}
	}
}

// fleet is an event simulation; times are in seconds since the broker was lost.
type fleet struct {
	away    float64
	devices []mqttconn.Backoff
	events  attempts

	back99 float64
	worst  int
	wasted int
}

// attempt is a SYN of a device, the n-th of its connection attempt, which began at start.
type attempt struct {
	at, start float64
	device, n int
}

type attempts []attempt

func (a attempts) Len() int           { return len(a) }
func (a attempts) Less(i, j int) bool { return a[i].at < a[j].at }
func (a attempts) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *attempts) Push(x any)        { *a = append(*a, x.(attempt)) }
func (a *attempts) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newFleet(n int, away time.Duration) *fleet {
	random := rand.New(rand.NewPCG(7, 11))
	f := &fleet{away: away.Seconds(), devices: make([]mqttconn.Backoff, n)}
	for i := range f.devices {
		f.devices[i].Rand = random.Float64
		f.tryAgain(i, random.Float64(), time.Hour)
	}
	return f
}

func (f *fleet) tryAgain(device int, now float64, lasted time.Duration) {
	at := now + f.devices[device].Next(mqttconn.CauseNetwork, lasted).Seconds()
	heap.Push(&f.events, attempt{at: at, start: at, device: device})
}

func (f *fleet) run() {
	const (
		handshake = 1.0 / 200
		waiting   = 100
		giveUp    = 30.0 // seconds for one attempt
		refused   = 84   // bytes of SYN and RST with their headers
		unheard   = 44   // of a SYN
	)
	var idleFrom float64 // when the broker will have finished all it has accepted
	var back []float64
	seconds := make(map[int]int)
	bytes := 0
	for f.events.Len() > 0 {
		a := heap.Pop(&f.events).(attempt)
		if a.at < f.away {
			bytes += refused
			f.tryAgain(a.device, a.at+0.6, 0) // a round trip
			continue
		}
		seconds[int(a.at)]++
		idleFrom = max(idleFrom, a.at)
		if idleFrom-a.at < waiting*handshake {
			idleFrom += handshake
			back = append(back, idleFrom-f.away)
			continue
		}
		bytes += unheard
		resent := [...]float64{1, 3, 7, 15}
		if a.n < len(resent) && resent[a.n] < giveUp {
			heap.Push(&f.events, attempt{at: a.start + resent[a.n], start: a.start, device: a.device, n: a.n + 1})
		} else {
			f.tryAgain(a.device, a.start+giveUp, 0)
		}
	}
	slices.Sort(back)
	f.back99 = back[len(back)*99/100]
	f.wasted = bytes / len(f.devices)
	for _, n := range seconds {
		f.worst = max(f.worst, n)
	}
}
