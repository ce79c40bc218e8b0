package uplink

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

func TestBrokersAreSticky(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("refused")
		b := newBrokers(config.Broker{URL: config.List{"mqtt://a", "mqtts://b", "mqtt://c"}, ReturnAfter: config.Duration(time.Hour)})
		want := func(turns ...int) {
			t.Helper()
			got := b.turns()
			if len(got) != len(turns) || got[0] != turns[0] || got[len(got)-1] != turns[len(turns)-1] {
				t.Fatalf("turns: got %v, want %v", got, turns)
			}
		}
		name := func(want string) {
			t.Helper()
			if got := b.name(); got != want {
				t.Errorf("name: got %s, want %s", got, want)
			}
		}

		want(0)
		if until := b.worked(0); !until.IsZero() {
			t.Errorf("the first one is to be left at %v, want never", until)
		}
		if b.failed(0, &gsmnet.Error{Cause: gsmnet.CauseSearching, Err: down}) {
			t.Error("without coverage there is no other broker")
		}
		want(0)
		if !b.failed(0, down) {
			t.Error("the others were not tried")
		}
		want(1)
		b.turnTo(1)
		name("mqtts://b:8883")
		if !b.failed(1, down) || b.failed(2, down) {
			t.Error("after all three have failed there is no other, before there is")
		}
		want(0)
		b.failed(0, down)

		until := b.worked(1)
		if in := time.Until(until); in < time.Hour || in > 75*time.Minute {
			t.Errorf("the return is in %v, want 1 h to 1 h 15 min", in)
		}
		time.Sleep(30 * time.Minute)
		want(1)
		if again := b.worked(1); again != until {
			t.Errorf("another session with it moved the return from %v to %v", until, again)
		}
		time.Sleep(45 * time.Minute)
		want(0, 1)
		b.turnTo(0)
		name("mqtt://a:1883")
		if !b.failed(0, down) {
			t.Error("the second one is left")
		}
		want(1)
		name("mqtts://b:8883")
		b.worked(1)
		time.Sleep(75 * time.Minute)
		want(0, 1)
		if until := b.worked(0); !until.IsZero() {
			t.Errorf("back at the first one it is to be left at %v, want never", until)
		}
		want(0)

		b.begin("c:1883")
		want(2)
		b.begin("gone:1883")
		want(2)
	})
}

func TestClusterIsSpread(t *testing.T) {
	nodes := config.List{"mqtt://a", "mqtt://b", "mqtt://c"}
	begins, steps := make([]int, len(nodes)), make(map[int]int)
	for i := range 300 {
		b := newBrokers(config.Broker{URL: nodes, ReturnAfter: config.Duration(time.Hour)})
		device := fmt.Sprintf("pump-%d", i)
		b.spread(device)
		first := b.turns()[0]
		begins[first]++
		b.failed(first, errors.New("refused"))
		next := b.turns()[0]
		steps[(next-first+len(nodes))%len(nodes)]++
		if until := b.worked(next); !until.IsZero() {
			t.Fatalf("%s is to leave a node that works at %v, want never", device, until)
		}
	}
	if steps[0] > 0 || steps[1] < 120 || steps[2] < 120 {
		t.Errorf("the nodes after the first that failed: %v, want the next and the last one alike", steps)
	}
	for node, n := range begins {
		if n < 60 {
			t.Errorf("%d of 300 devices begin with node %d, want about 100", n, node)
		}
	}
}

func TestOneBrokerIsKept(t *testing.T) {
	b := newBrokers(config.Broker{URL: config.List{"mqtt://a"}, ReturnAfter: config.Duration(time.Hour)})
	if b.failed(0, errors.New("refused")) {
		t.Error("there is no other broker")
	}
	if got := b.turns(); len(got) != 1 || got[0] != 0 {
		t.Errorf("turns: got %v, want the only one", got)
	}
}

// TestListIsTriedBeforeAWait counts the waits after which each broker of a list has been tried.
func TestListIsTriedBeforeAWait(t *testing.T) {
	down := &mqttconn.Error{Op: "connect", Cause: mqttconn.CauseRefused, Err: errors.New("refused")}
	password := &mqttconn.Error{Op: "connect", Cause: mqttconn.CauseCredentials, Err: errors.New("bad password")}
	type step struct {
		err   error         // of the attempt
		next  int           // the broker after it
		least time.Duration // of the wait before that
		most  time.Duration
	}
	soon := func(next int) step { return step{down, next, 0, turnWait} }
	later := func(next int) step { return step{down, next, 10 * time.Second, 125 * time.Second} }
	for name, steps := range map[string][]step{
		"all are down":          {soon(1), soon(2), later(0), soon(1), soon(2), later(0)},
		"the first refuses us":  {{password, 1, 0, turnWait}, soon(2), later(1), soon(2), later(1)},
		"the second refuses us": {soon(1), {password, 2, 0, turnWait}, later(0), soon(2), later(0)},
		"all refuse us":         {{password, 1, 0, turnWait}, {password, 2, 0, turnWait}, {password, -1, 50 * time.Minute, 2 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBrokers(config.Broker{URL: config.List{"mqtt://a", "mqtt://b", "mqtt://c"}, ReturnAfter: config.Duration(time.Hour)})
				again := retry(b)
				for i, s := range steps {
					le := linkError(s.err)
					le.Others = b.failed(b.turns()[0], s.err)
					wait := again(le, 0)
					if wait < s.least || wait > s.most {
						t.Fatalf("attempt %d: the wait is %v, want %v to %v", i+1, wait, s.least, s.most)
					}
					if next := b.turns()[0]; s.next >= 0 && next != s.next {
						t.Fatalf("attempt %d: next is broker %d, want %d", i+1, next, s.next)
					}
					time.Sleep(wait)
				}
			})
		})
	}
}

// TestRefusingBrokerIsLeftAlone: while the second one works, the first one is looked for only when its long wait is over.
func TestRefusingBrokerIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrokers(config.Broker{URL: config.List{"mqtt://a", "mqtt://b"}, ReturnAfter: config.Duration(10 * time.Minute)})
		b.failed(0, &mqttconn.Error{Op: "connect", Cause: mqttconn.CauseCredentials, Err: errors.New("bad password")})
		b.worked(1)
		time.Sleep(55 * time.Minute)
		if got := b.turns(); len(got) != 1 || got[0] != 1 {
			t.Errorf("turns: got %v, want the second one alone within the hour", got)
		}
		time.Sleep(2 * time.Hour)
		if got := b.turns(); len(got) != 2 || got[0] != 0 {
			t.Errorf("turns: got %v, want the first one before the second", got)
		}
	})
}

// TestClusterTakesUpALostNode models 10 000 devices at three nodes, one of which is lost: the others are not stormed.
func TestClusterTakesUpALostNode(t *testing.T) {
	gone := &agent.LinkError{Cause: agent.CauseLost, HungUp: true, Err: errors.New("connection reset by peer")}
	arrivals := make(map[[2]int]int) // node, second
	perNode := make(map[int]int)
	for i := range 10_000 {
		b := newBrokers(config.Broker{URL: config.List{"mqtt://a", "mqtt://b", "mqtt://c"}})
		b.spread(fmt.Sprintf("pump-%d", i))
		if b.turns()[0] != 0 {
			continue
		}
		b.worked(0)
		wait := retry(b)(gone, time.Hour)
		node := b.turns()[0]
		perNode[node]++
		arrivals[[2]int{node, int(wait / time.Second)}]++
		if wait > turnWait || node == 0 {
			t.Fatalf("device %d turns to node %d after %v, want another one within %v", i, node, wait, turnWait)
		}
	}
	worst := 0
	for _, n := range arrivals {
		worst = max(worst, n)
	}
	t.Logf("%v come to the other nodes, %d in the worst second", perNode, worst)
	if worst > 230 || perNode[1] < 1400 || perNode[2] < 1400 {
		t.Errorf("%v come to the other nodes, %d in the worst second, want them alike and at most 230", perNode, worst)
	}
	// A session that didn't stand, as one with a poison message, is met with the usual wait, and a broker of its own is asked again.
	b := newBrokers(config.Broker{URL: config.List{"mqtt://a", "mqtt://b"}})
	if wait := retry(b)(gone, time.Hour); wait < 10*time.Second || b.turns()[0] != 0 {
		t.Errorf("a broker of its own: broker %d after %v, want the same one after 10 s or more", b.turns()[0], wait)
	}
	b.spread("pump-1")
	if wait := retry(b)(gone, time.Minute); wait < 10*time.Second {
		t.Errorf("a session that didn't stand: %v, want 10 s or more", wait)
	}
}
