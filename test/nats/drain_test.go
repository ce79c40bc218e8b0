package nats_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"
)

// drain is how much flows through the cluster while its nodes go down one after the other.
type drain struct {
	link       string
	qos1, qos2 int // readings a round
	within     time.Duration
}

func TestDrainThroughNodeFailures(t *testing.T) {
	d := drain{link: "link: system", qos1: 200, qos2: 20, within: time.Minute}
	if os.Getenv("FIELDPOST_SOAK") != "" {
		d.qos1, d.qos2 = 1667, 167
	}
	d.run(t)
}

func TestDrainOverModuleThroughNodeFailures(t *testing.T) {
	if os.Getenv("FIELDPOST_SOAK") == "" {
		t.Skip("at the speed of GPRS it takes minutes: FIELDPOST_SOAK is not set")
	}
	drain{link: "modem: {port: sim, apn: CMNET}", qos1: 200, qos2: 20, within: 5 * time.Minute}.run(t)
}

// run kills each node once, in the middle of a round: preferably the one that the agent is connected to. Each reading of the
// round has to arrive while that node is down.
func (d drain) run(t *testing.T) {
	nodes := startCluster(t)
	agent := startAgent(t, nodes, d.link)
	eventually(t, "the agent is connected", d.within, func() bool { return agent.broker() != "" })
	cloud := startTally(t, nodes)

	var all []string
	var killed []*node
	interrupted := 0
	for round := range size {
		before := len(all)
		at := nodes[(slices.IndexFunc(nodes, func(n *node) bool { return n.mqtt == agent.broker() })+size)%size]
		victim := at
		if slices.Contains(killed, at) { // it has turned to another one by itself
			victim = nodes[slices.IndexFunc(nodes, func(n *node) bool { return !slices.Contains(killed, n) })]
		}
		open := make(chan int, 1)
		go func() { // open receives in any case
			ctx, cancel := context.WithTimeout(t.Context(), d.within)
			defer cancel()
			err := cloud.reach(ctx, before+d.qos2/2)
			victim.kill()
			if err != nil {
				t.Error(err)
			}
			open <- before + d.qos1 + d.qos2 - cloud.different()
		}()
		all = append(all, agent.accept("two", 2, round*d.qos2, d.qos2)...)
		all = append(all, agent.accept("one", 1, round*d.qos1, d.qos1)...)
		cut, began := <-open, time.Now()
		killed = append(killed, victim)
		if cut > 0 && victim == at {
			interrupted++
		}
		for deadline := began.Add(d.within); cloud.different() < len(all); time.Sleep(50 * time.Millisecond) {
			if agent.broker() == "" {
				agent.reconnect()
			}
			if time.Now().After(deadline) {
				missing := cloud.missing(all)
				t.Fatalf("with a node down %d readings don't arrive, and the agent still has %d: %v", len(missing), agent.queued(), missing[:min(len(missing), 10)])
			}
		}
		t.Logf("round %d: killed %s (the agent's: %v) with %d of %d readings to come; all there %v later", round+1,
			victim.mqtt, victim == at, cut, d.qos1+d.qos2, time.Since(began).Round(time.Millisecond))
		victim.start()
		victim.waitInStep()
	}
	if interrupted == 0 {
		t.Error("no kill hit the agent's node in the middle of a round: nothing was tried")
	}
	eventually(t, "the agent's queue is empty", d.within, func() bool { return agent.queued() == 0 })
	agent.stop()
	if missing := cloud.missing(all); len(missing) > 0 {
		t.Errorf("%d of %d readings are missing: %v", len(missing), len(all), missing[:min(len(missing), 10)])
	}
	if twice := cloud.repeats("site.two "); len(twice) > 0 {
		t.Errorf("%d readings at QoS 2 were stored more than once: %v", len(twice), twice[:min(len(twice), 10)])
	}
	t.Logf("%d readings, of those at QoS 1 %d more than once", len(all), len(cloud.repeats("site.one ")))
}
