package mqttconn_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// ours is the policy of this package.
func ours(random func() float64) func(time.Duration) time.Duration {
	b := &mqttconn.Backoff{Rand: random}
	return func(lasted time.Duration) time.Duration { return b.Next(mqttconn.CauseNetwork, lasted) }
}

// bridge is that of Mosquitto's bridge with its defaults, the best of those that are shipped: decorrelated jitter from 5 to 30 s.
func bridge(random func() float64) func(time.Duration) time.Duration {
	const base, most = 5.0, 30.0
	last := base
	return func(lasted time.Duration) time.Duration {
		if lasted > 0 {
			last = base
		}
		last = min(most, base+random()*(3*last-base))
		return time.Duration(last * float64(time.Second))
	}
}

// TestFleetComesBackSlowly models 10 000 devices that lose their broker within one second. The broker finishes 200
// handshakes a second and lets 100 connections wait; to a SYN beyond that it says nothing, and TCP sends it again.
func TestFleetComesBackSlowly(t *testing.T) {
	const least = 50.0 // seconds for 10 000 handshakes
	for _, away := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		f, peer := newFleet(10_000, away, ours), newFleet(10_000, away, bridge)
		f.run()
		peer.run()
		for name, f := range map[string]*fleet{"ours": f, "bridge": peer} {
			t.Logf("%s, away %v: 99 %% back %.0f s after, %d SYNs in the worst second, %d bytes wasted a device",
				name, away, f.back99, f.worst, f.wasted)
			if os.Getenv("FIELDPOST_FIGURES") != "" { // in the form of a Go benchmark, for scripts/bench
				fmt.Printf("BenchmarkStorm/away%v/%s 1 %.4g back99_vs_least:x %d worst:SYN/s %d wasted:B/device\n",
					away, name, f.back99/least, f.worst, f.wasted)
			}
		}
		if os.Getenv("FIELDPOST_FIGURES") != "" {
			fmt.Printf("BenchmarkStorm/away%v/ours 1 %.4g worst_vs_bridge\n", away, float64(f.worst)/float64(peer.worst))
		}
		if f.back99 > 2.5*least {
			t.Errorf("away %v: 99 %% are back after %.0f s, want at most %.0f", away, f.back99, 2.5*least)
		}
		if 2*f.worst > peer.worst {
			t.Errorf("away %v: %d SYNs in the worst second, want at most half of the bridge's %d", away, f.worst, peer.worst)
		}
		if f.wasted > 1024 {
			t.Errorf("away %v: %d bytes wasted a device, want at most 1024", away, f.wasted)
		}
	}
}

// fleet is an event simulation; times are in seconds since the broker was lost.
type fleet struct {
	away   float64
	wait   []func(lasted time.Duration) time.Duration // of each device, after a failure or the loss
	events attempts

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

func newFleet(n int, away time.Duration, policy func(random func() float64) func(time.Duration) time.Duration) *fleet {
	random := rand.New(rand.NewPCG(7, 11))
	f := &fleet{away: away.Seconds()}
	for i := range n {
		f.wait = append(f.wait, policy(random.Float64))
		f.tryAgain(i, random.Float64(), time.Hour)
	}
	return f
}

func (f *fleet) tryAgain(device int, now float64, lasted time.Duration) {
	at := now + f.wait[device](lasted).Seconds()
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
	f.wasted = bytes / len(f.wait)
	for _, n := range seconds {
		f.worst = max(f.worst, n)
	}
}
