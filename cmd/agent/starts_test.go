package main

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// freeStarts is how many boots that end early dial at once.
const freeStarts = 3

// uselessBroker hangs up on everybody; it counts them.
func uselessBroker(t *testing.T) (addr string, dials *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dials = new(atomic.Int32)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String(), dials
}

// TestFH5_BootLoopDoesNotKnockAtTheBroker: the power fails ten times, each time soon after the start.
func TestFH5_BootLoopDoesNotKnockAtTheBroker(t *testing.T) {
	t.Parallel()
	broker, dials := uselessBroker(t)
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtt://%s\"}\n", broker))
	for boot := range 10 {
		agent := fieldpost(t, fmt.Sprint("boot ", boot+1), "run", "--config", s.conf)
		if boot < freeStarts {
			agent.waitFor("link is down", 20*time.Second)
		} else {
			agent.waitFor("waits before it dials", 20*time.Second)
		}
		eventually(t, "a reading is accepted", 20*time.Second, func() bool { return post(t, s, "site/a", "1") == http.StatusAccepted })
		if boot == 9 {
			out, _, code := call(t, "status", "--config", s.conf)
			if code != exitFailed {
				t.Errorf("status: got exit code %d, want %d", code, exitFailed)
			}
			says(t, out, "delivered nothing")
		}
		if got := dials.Load(); got > freeStarts {
			t.Fatalf("%d dials in %d boots, want %d", got, boot+1, freeStarts)
		}
		if boot < 9 {
			agent.kill()
			continue
		}
		good(t, "reconnect", "--config", s.conf)
		eventually(t, "a person ends the wait", 20*time.Second, func() bool { return dials.Load() > freeStarts })
		if code := agent.stop(10 * time.Second); code != 0 {
			t.Errorf("SIGTERM: got exit code %d", code)
		}
	}
	if got := topics(t, s); got["site/a"] != 10 {
		t.Errorf("in the queue are %v, want the readings of ten boots", got)
	}
	// One that was told to stop is no sign of a loop.
	fieldpost(t, "agent", "run", "--config", s.conf).waitFor("link is down", 20*time.Second)
}
