package mqttconn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// TestCutAtEveryMoment cuts the connection once, at each moment of the dialogue in turn: before, after and having answered
// each packet, at each QoS, with a broker that keeps its session and one that loses it, with a process that lives on and
// one that is killed in that moment, with both ways in which a broker may handle QoS 2.
func TestCutAtEveryMoment(t *testing.T) {
	for qos := range byte(3) {
		for _, keeps := range []bool{true, false} {
			for _, killed := range []bool{false, true} {
				for _, early := range []bool{false, true} {
					if early && qos < 2 {
						continue
					}
					c := matrixCase{qos: qos, keeps: keeps, killed: killed, early: early}
					moments := c.run(t, "") // nothing is cut
					if len(moments) < 3*(1+matrixMessages) {
						t.Fatalf("%v: only %d moments: %q", c, len(moments), moments)
					}
					for _, m := range moments {
						if strings.Contains(m, "DISCONNECT") {
							continue
						}
						t.Run(fmt.Sprintf("%v/%s", c, m), func(t *testing.T) { c.run(t, m) })
					}
				}
			}
		}
	}
}

const matrixMessages = 4

type matrixCase struct {
	qos                  byte
	keeps, killed, early bool
}

func (c matrixCase) String() string {
	name := fmt.Sprintf("QoS %d", c.qos)
	for _, part := range []struct {
		on   bool
		name string
	}{{c.keeps, "session kept"}, {!c.keeps, "session lost"}, {c.killed, "killed"}, {c.early, "early"}} {
		if part.on {
			name += ", " + part.name
		}
	}
	return name
}

func (c matrixCase) run(t *testing.T, cutAt string) (moments []string) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(c.qos, matrixMessages)
		b := &fakeBroker{cutAt: cutAt, forgets: !c.keeps, early: c.early}
		if c.killed {
			b.onCut = q.kill
		}
		q.delivered = func(m mqttconn.Message) bool { return b.has(string(m.Payload)) }
		q.drain(t, b)
		b.group.Wait()
		c.verify(t, b.payloads())
		moments = b.moments
		if cutAt != "" && (!b.hasCut || b.dials > 2) {
			t.Errorf("cut: %v, connections: %d, want one cut and at most two connections", b.hasCut, b.dials)
		}
	})
	return moments
}

// verify checks what arrived: everything, in order but for repeats, and repeats only where they are allowed.
func (c matrixCase) verify(t *testing.T, got []string) {
	t.Helper()
	var want []string
	for i := range matrixMessages {
		want = append(want, fmt.Sprint("reading ", i+1))
	}
	if c.qos == 2 && c.keeps {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("exactly once is broken (-want +got):\n%s", diff)
		}
		return
	}
	var first []string
	for _, p := range got {
		if !slices.Contains(first, p) {
			first = append(first, p)
		}
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("lost or out of order (-want +got):\n%s", diff)
	}
	if len(got) > 2*matrixMessages {
		t.Errorf("%d arrived of %d: %q", len(got), matrixMessages, got)
	}
}
