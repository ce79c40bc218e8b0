package keepalive_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fieldpost/fieldpost/agent/keepalive"
)

// network forgets a connection that was silent for longer than its patience.
type network struct {
	patience time.Duration
	pings    int
	lost     int
}

// idle lets a learner keep an idle connection for a while, and returns the bytes that this cost.
func (n *network) idle(l *keepalive.Learner, limits keepalive.Limits, span time.Duration) int {
	n.pings, n.lost = 0, 0
	for now := time.Duration(0); now < span; now += l.Interval() {
		n.ping(l)
	}
	return n.pings*limits.Ping + n.lost*limits.Reconnect
}

func (n *network) ping(l *keepalive.Learner) {
	silence := l.Interval()
	if silence > n.patience {
		n.lost++
		l.Forgotten(silence)
		return
	}
	n.pings++
	l.Survived(silence)
}

const day = 24 * time.Hour

func TestSettlesBelowTheNetworksPatience(t *testing.T) {
	limits := keepalive.Limits{Ping: keepalive.DefaultPing, Reconnect: keepalive.DefaultReconnect}
	for _, patience := range []time.Duration{time.Minute, 4 * time.Minute, 270 * time.Second, 5 * time.Minute, 9 * time.Minute,
		541 * time.Second, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, 24 * time.Hour} {
		t.Run(patience.String(), func(t *testing.T) {
			l := keepalive.New(limits)
			n := &network{patience: patience}
			first := n.idle(l, limits, day)
			lost := n.lost
			steady := n.idle(l, limits, 28*day) / 28
			most := min(patience, keepalive.DefaultMost)
			ideal := int(day/most) * limits.Ping
			t.Logf("%v: %d lost and %d bytes on the first day, then %d bytes a day, %d would be ideal; %d lost in 4 weeks",
				l.Interval(), lost, first, steady, ideal, n.lost)
			if got := l.Interval(); got > most || got < most*85/100 {
				t.Errorf("settled at %v, want at most %v and not far below", got, most)
			}
			if lost > 10 {
				t.Errorf("%d connections were lost on the first day, want at most 10", lost)
			}
			if n.lost > 8 {
				t.Errorf("%d connections were lost in the 4 weeks after it, want at most 2 a week", n.lost)
			}
			if steady > ideal*120/100 {
				t.Errorf("%d bytes a day, want at most 1.2 of the ideal %d", steady, ideal)
			}
		})
	}
}

func TestOneLossProvesNothingAboutAProvenLength(t *testing.T) {
	l := keepalive.New(keepalive.Limits{Most: keepalive.DefaultStart})
	for range 10 {
		l.Survived(l.Interval())
	}
	was := l.Interval()
	l.Forgotten(was)
	if got := l.Interval(); got != was {
		t.Errorf("after one loss: %v, want %v as before", got, was)
	}
	for range 100 {
		l.Survived(was)
	}
	l.Forgotten(was)
	if got := l.Interval(); got != was {
		t.Errorf("after two losses with 100 successes between them: %v, want %v as before", got, was)
	}
	for range 10 {
		l.Survived(was)
	}
	l.Forgotten(was)
	if got := l.Interval(); got > was*9/10 {
		t.Errorf("after two losses with 10 successes between them: %v, want at most 0.9 of %v", got, was)
	}
}

func TestClosedWeighsHalf(t *testing.T) {
	l := keepalive.New(keepalive.Limits{})
	was := l.Interval()
	l.Closed(was)
	if got := l.Interval(); got != was {
		t.Errorf("after one end with a word: %v, want %v as before", got, was)
	}
	l.Closed(was)
	if got := l.Interval(); got >= was {
		t.Errorf("after two: %v, want less than %v", got, was)
	}
}

func TestShortSilencesSayNothing(t *testing.T) {
	l := keepalive.New(keepalive.Limits{})
	was := l.Interval()
	for range 1000 {
		l.Survived(time.Minute)
		l.Closed(50 * time.Second) // a broker that restarts, while a reading is sent each minute
		l.Forgotten(10 * time.Second)
	}
	if got := l.Interval(); got != was {
		t.Errorf("silences of a minute made %v of %v", got, was)
	}
}

func TestNetworkChanges(t *testing.T) {
	l := keepalive.New(keepalive.Limits{})
	n := &network{patience: 5 * time.Minute}
	n.idle(l, keepalive.Limits{}, 3*day)
	n.patience = 18 * time.Minute
	n.idle(l, keepalive.Limits{}, 30*day)
	if got := l.Interval(); got < 15*time.Minute || got > n.patience {
		t.Errorf("a month after the network became patient: %v, want nearly %v", got, n.patience)
	}
	n.patience = 4 * time.Minute
	n.idle(l, keepalive.Limits{}, day)
	if got := l.Interval(); got > n.patience {
		t.Errorf("a day after it became impatient again: %v, want at most %v", got, n.patience)
	}
}

// TestPatienceThatVaries is a gateway that looks for old connections every 30 s.
func TestPatienceThatVaries(t *testing.T) {
	l := keepalive.New(keepalive.Limits{})
	random := rand.New(rand.NewPCG(1, 2))
	pings, lost := 0, 0
	for now := time.Duration(0); now < 28*day; now += l.Interval() {
		if l.Interval() > 6*time.Minute+time.Duration(random.Int64N(int64(30*time.Second))) {
			l.Forgotten(l.Interval())
			lost++
		} else {
			l.Survived(l.Interval())
			pings++
		}
	}
	bytes := pings*keepalive.DefaultPing + lost*keepalive.DefaultReconnect
	ideal := int(28*day/(6*time.Minute)) * keepalive.DefaultPing
	t.Logf("%v, %d lost in 4 weeks, %d bytes, %d would be ideal", l.Interval(), lost, bytes, ideal)
	if got := l.Interval(); got > 390*time.Second || got < 5*time.Minute {
		t.Errorf("settled at %v, want at most 390 s", got)
	}
	if bytes > ideal*115/100 { // a ninth of it is the distance from the edge
		t.Errorf("%d bytes in 4 weeks, want at most 1.15 of the ideal %d", bytes, ideal)
	}
	if lost > 10 {
		t.Errorf("%d connections were lost in 4 weeks, want at most 10", lost)
	}
}

// Whatever the patience, and although it varies and pings are late, few connections are lost and few bytes wasted: the learner
// keeps away from the edge, and doesn't creep back to it.
func TestKeepsAwayFromTheEdge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := keepalive.Limits{Ping: keepalive.DefaultPing, Reconnect: keepalive.DefaultReconnect}
		patience := time.Duration(rapid.IntRange(36, 1800).Draw(t, "patience in s")) * time.Second
		jitter := rapid.Float64Range(0, 0.1).Draw(t, "part of it by which it varies")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		l := keepalive.New(limits)
		lost, pings := 0, 0
		spend := func(span time.Duration) {
			lost, pings = 0, 0
			for now := time.Duration(0); now < span; now += l.Interval() {
				if silence := l.Interval(); float64(silence) >= float64(patience)*(1-jitter*random.Float64()) {
					lost++
					l.Forgotten(silence)
				} else {
					pings++
					l.Survived(silence)
				}
			}
		}
		spend(2 * day)
		// Where patience ends within a minute there are thousands of silences a day, and more of them meet the edge by chance.
		if most := 10 + pings/400; lost > most {
			t.Fatalf("%d connections lost in the first two days, want at most %d; settled at %v", lost, most, l.Interval())
		}
		spend(12 * 7 * day)
		if most := 30 + pings/4000; lost > most {
			t.Fatalf("%d connections lost in the 12 weeks after, want at most %d; settled at %v", lost, most, l.Interval())
		}
		bytes := pings*limits.Ping + lost*limits.Reconnect
		sure := min(time.Duration(float64(patience)*(1-jitter)), keepalive.DefaultMost)
		if ideal := int(12*7*day/sure) * limits.Ping; bytes > ideal*135/100 {
			t.Fatalf("%d bytes in 12 weeks at %v, want at most 1.35 of the %d at %v", bytes, l.Interval(), ideal, sure)
		}
	})
}

// Whatever is reported, the interval stays within its limits and what is known can be kept and read again.
func TestAnyReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := keepalive.Limits{
			Least: time.Duration(rapid.IntRange(30, 300).Draw(t, "least")) * time.Second,
			Most:  time.Duration(rapid.IntRange(300, 3600).Draw(t, "most")) * time.Second,
		}
		l := keepalive.New(limits)
		for range rapid.IntRange(0, 200).Draw(t, "reports") {
			d := time.Duration(rapid.IntRange(0, 4000).Draw(t, "silence")) * time.Second
			switch rapid.IntRange(0, 2).Draw(t, "end") {
			case 0:
				l.Survived(d)
			case 1:
				l.Forgotten(d)
			default:
				l.Closed(d)
			}
			if got := l.Interval(); got < limits.Least || got > limits.Most {
				t.Fatalf("%v is outside of %v to %v", got, limits.Least, limits.Most)
			}
			again, err := keepalive.Restore(limits, l.State())
			if err != nil {
				t.Fatalf("%+v can't be read again: %v", l.State(), err)
			}
			if again.State() != l.State() {
				t.Fatalf("read again: %+v, want %+v", again.State(), l.State())
			}
		}
	})
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, s := range []keepalive.State{{}, {Interval: 300, Need: 1, Proven: -1}, {Interval: 300, Need: 1, Proven: 500, TooLong: 400}} {
		if _, err := keepalive.Restore(keepalive.Limits{}, s); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

func Example() {
	l := keepalive.New(keepalive.Limits{})
	fmt.Println("starts at", l.Interval())
	l.Forgotten(l.Interval())
	fmt.Println("a silence of that length was too long:", l.Interval())
	// Output:
	// starts at 9m0s
	// a silence of that length was too long: 4m30s
}
