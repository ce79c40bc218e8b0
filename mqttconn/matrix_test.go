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

// TestDroppedInFlight has messages dropped at each moment of QoS 2, while the connection is cut: the broker goes on holding their
// packet ids, under which it would swallow those that follow. All others arrive once, in order, and in the end it holds none.
func TestDroppedInFlight(t *testing.T) {
	cases := 0
	for _, killed := range []bool{false, true} {
		for _, early := range []bool{false, true} {
			c := matrixCase{qos: 2, keeps: true, killed: killed, early: early}
			for _, m := range c.run(t, "") {
				if strings.Contains(m, "DISCONNECT") || strings.Contains(m, "CONNECT") {
					continue
				}
				for _, dropped := range [][]uint64{{1}, {2}, {1, 2, 3}} {
					cases++
					t.Run(fmt.Sprintf("%v/%s/%v dropped", c, m, dropped), func(t *testing.T) { c.runDropping(t, m, dropped) })
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}

func (c matrixCase) runDropping(t *testing.T, cutAt string, dropped []uint64) {
	synctest.Test(t, func(t *testing.T) {
		q := newFakeQueue(2, matrixMessages)
		b := &fakeBroker{cutAt: cutAt, early: c.early}
		b.onCut = func() {
			if c.killed {
				q.kill()
			}
			for _, seq := range dropped {
				q.drop(seq)
			}
		}
		q.drain(t, b)
		b.group.Wait()
		var want, got []string
		for seq := uint64(1); seq <= matrixMessages; seq++ {
			if !slices.Contains(dropped, seq) {
				want = append(want, fmt.Sprint("reading ", seq))
			}
		}
		times := make(map[string]int)
		for _, p := range b.payloads() {
			if times[p]++; slices.Contains(want, p) {
				got = append(got, p)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what was not dropped (-want +got):\n%s", diff)
		}
		for p, n := range times {
			if n > 1 {
				t.Errorf("%s arrived %d times", p, n)
			}
		}
		if len(b.session) > 0 {
			t.Errorf("the broker still holds %v", b.session)
		}
	})
}
