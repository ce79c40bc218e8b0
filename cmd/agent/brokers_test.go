package main

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
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
	begins := make([]int, len(nodes))
	for i := range 300 {
		b := newBrokers(config.Broker{URL: nodes, ReturnAfter: config.Duration(time.Hour)})
		device := fmt.Sprintf("pump-%d", i)
		b.spread(device)
		first := b.turns()[0]
		begins[first]++
		b.failed(first, errors.New("refused"))
		next := b.turns()[0]
		if want := (first + 1) % len(nodes); next != want {
			t.Fatalf("%s: got node %d after %d has failed, want %d", device, next, first, want)
		}
		if until := b.worked(next); !until.IsZero() {
			t.Fatalf("%s is to leave a node that works at %v, want never", device, until)
		}
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
