package field

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/queue"
)

// Each invariant that the history decides has a history that breaks it, and one beside it that does not.
func TestModelNoticesBrokenPromises(t *testing.T) {
	type step = func(*model)
	accept := func(sensor int, qos byte, seq uint64) step {
		return func(m *model) { m.answer(sensor, m.offer(sensor, qos, 2, 1), accepted, seq) }
	}
	arrive := func(sensor, n int, qos byte) step {
		return func(m *model) { m.arrived(topicOf(sensor), payload(sensor, n, 0), qos, false) }
	}
	stamped := func(off time.Duration) step {
		return func(m *model) {
			p, err := envelope.NewEncoder(nil).Encode(envelope.Message{Device: "x", Readings: []envelope.Reading{
				{Seq: 1, Time: m.trueTime(time.Now()).Add(off), Quality: envelope.QualityKnown, Payload: payload(0, 0, 0)}}})
			if err != nil {
				panic(err)
			}
			m.arrived(topicOf(0), p, 1, false)
		}
	}
	told := func(boot int, off time.Duration) step { return func(m *model) { m.told(boot, off) } }
	later := func(d time.Duration) step { return func(*model) { time.Sleep(d) } }
	under := func(topic, payload string) *packets.PublishPacket {
		return &packets.PublishPacket{TopicName: topic, Payload: []byte(payload), MessageID: 7}
	}
	reused := func(held, p *packets.PublishPacket) step { return func(m *model) { m.reused(held, p) } }
	check := func(s standing) step { return func(m *model) { m.checkReleased(s, "I2") } }
	lost := func(reason queue.Reason, lane queue.Lane, n uint64) []queue.Loss {
		return []queue.Loss{{Reason: reason, Lane: lane, Messages: n}}
	}
	full := func(waiting map[uint64]bool, flown map[uint64]bool) step {
		return check(standing{full: true, waiting: waiting, flown: flown, losses: lost(queue.ReasonFull, 2, 1)})
	}
	aged := check(standing{maxAge: time.Hour, boot: 1, losses: lost(queue.ReasonAge, 2, 1)})
	agedLater := check(standing{maxAge: time.Hour, boot: 2, losses: lost(queue.ReasonAge, 2, 1)})
	bulk := func(seq uint64) step {
		return func(m *model) { m.answer(0, m.offer(0, 1, 3, 1), accepted, seq) }
	}
	late := func(m *model) { m.checkLate(map[uint64]bool{1: true}, m.begin.Add(time.Minute)) }
	released := check(standing{})
	for _, test := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"delivered and released", []step{accept(0, 1, 1), arrive(0, 0, 1), released}, nil},
		{"released too early", []step{accept(0, 1, 1), released}, []string{"I2"}},
		{"still in the queue", []step{accept(0, 1, 1), check(standing{waiting: map[uint64]bool{1: true}})}, nil},
		{"dropped and counted", []step{accept(0, 1, 1), full(nil, nil)}, nil},
		{"dropped in another lane", []step{accept(0, 1, 1), check(standing{full: true, losses: lost(queue.ReasonFull, 1, 1)})}, []string{"I2"}},
		{"dropped though there is room", []step{accept(0, 1, 1), check(standing{losses: lost(queue.ReasonFull, 2, 1)})}, []string{"I1"}},
		{"set aside though nothing is wrong", []step{accept(0, 1, 1), check(standing{full: true, losses: lost(queue.ReasonPoison, 2, 1)})}, []string{"I1"}},
		{"purged", []step{accept(0, 1, 1), check(standing{purged: true, losses: lost(queue.ReasonPurged, 2, 1)})}, nil},
		{"purged by nobody", []step{accept(0, 1, 1), check(standing{losses: lost(queue.ReasonPurged, 2, 1)})}, []string{"I1"}},
		{"dropped before an older one", []step{accept(0, 1, 1), accept(0, 1, 2), full(map[uint64]bool{1: true}, nil)}, []string{"I1"}},
		{"dropped before one that was under way", []step{accept(0, 1, 1), accept(0, 1, 2), full(map[uint64]bool{1: true}, map[uint64]bool{1: true})}, nil},
		{"dropped before a younger one", []step{accept(0, 1, 1), accept(0, 1, 2), full(map[uint64]bool{2: true}, nil)}, nil},
		{"dropped before a less urgent one", []step{bulk(1), accept(0, 1, 2), full(map[uint64]bool{1: true}, nil)}, []string{"I1"}},
		{"dropped at its age", []step{accept(0, 1, 1), later(time.Hour), aged}, nil},
		{"dropped before its age", []step{accept(0, 1, 1), later(50 * time.Minute), aged}, []string{"I1"}},
		{"dropped before its age by another boot", []step{accept(0, 1, 1), later(50 * time.Minute), agedLater}, []string{"I1"}},
		{"dropped by a clock that was set wrongly", []step{accept(0, 1, 1), told(2, time.Hour), later(50 * time.Minute), agedLater}, nil},
		{"delivered late", []step{accept(0, 1, 1), later(time.Hour), late}, []string{"I7"}},
		{"not late yet", []step{later(time.Hour), accept(0, 1, 1), late}, nil},
		{"no answer was heard", []step{func(m *model) { m.offer(0, 1, 2, 1) }, released}, nil},
		{"in order, with a repeat", []step{accept(0, 1, 1), accept(0, 1, 2), arrive(0, 0, 1), arrive(0, 1, 1), arrive(0, 0, 1)}, nil},
		{"out of order", []step{accept(0, 1, 1), accept(0, 1, 2), arrive(0, 1, 1), arrive(0, 0, 1)}, []string{"I3"}},
		{"twice at QoS 2", []step{accept(0, 2, 1), arrive(0, 0, 2), arrive(0, 0, 2)}, []string{"I4"}},
		{"never offered", []step{arrive(0, 0, 1)}, []string{"I4"}},
		{"altered", []step{accept(0, 1, 1), func(m *model) { m.arrived(topicOf(0), payload(0, 0, 0)[1:], 1, false) }}, []string{"I4"}},
		{"at a lower QoS", []step{accept(0, 2, 1), arrive(0, 0, 0)}, []string{"I4"}},
		{"at the higher QoS of its batch", []step{accept(0, 1, 1), arrive(0, 0, 2), arrive(0, 0, 2)}, nil},
		{"refused and sent", []step{func(m *model) { m.answer(0, m.offer(0, 1, 2, 1), refused, 0) }, arrive(0, 0, 1)}, []string{"I4"}},
		{"stamped rightly", []step{accept(0, 1, 1), told(1, 0), stamped(0)}, nil},
		{"stamped by a server that was wrong", []step{accept(0, 1, 1), told(1, time.Hour), told(1, 0), stamped(time.Hour)}, nil},
		{"stamped by nobody", []step{accept(0, 1, 1), stamped(0)}, []string{"I11"}},
		{"stamped in another boot", []step{accept(0, 1, 1), told(2, 0), stamped(0)}, []string{"I11"}},
		{"stamped wrongly", []step{accept(0, 1, 1), told(1, 0), stamped(-time.Minute)}, []string{"I11"}},
		{"stamped before the server was wrong", []step{told(1, 0), later(time.Hour), accept(0, 1, 1), later(time.Minute), told(1, time.Hour), stamped(-time.Minute)}, nil},
		{"stamped after the server was wrong", []step{told(1, time.Hour), later(time.Hour), told(1, 0), later(time.Hour), accept(0, 1, 1), stamped(time.Hour)}, []string{"I11"}},
		{"stamped a moment after the server was wrong", []step{told(1, time.Hour), later(time.Hour), told(1, 0), later(10 * time.Second), accept(0, 1, 1), stamped(time.Hour)}, nil},
		{"dated anew", []step{told(1, 0), later(time.Minute), accept(0, 1, 1), later(time.Minute), told(1, time.Hour), stamped(time.Hour - time.Minute)}, []string{"I11"}},
		{"repeated under its packet id", []step{reused(under("a", "1"), under("a", "1"))}, nil},
		{"another under its packet id", []step{reused(under("a", "1"), under("a", "2"))}, []string{"I4"}},
		{"another topic under its packet id", []step{reused(under("a", "1"), under("b", "1"))}, []string{"I4"}},
		{"of the device itself", []step{func(m *model) { m.arrived("pump-07/status", []byte("online"), 1, false) }}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(time.Now(), 1)
				for _, s := range test.steps {
					s(m)
				}
				var got []string
				for _, v := range m.violations {
					got = append(got, v.Invariant)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("got violations %v, want of %v", m.violations, test.want)
				}
			})
		})
	}
}

func TestSilenceIsNoticed(t *testing.T) {
	m := newModel(time.Now(), 1)
	l := &watchedLog{model: m}
	l.watch(true)
	l.look(false)
	if len(m.violations) != 0 {
		t.Fatalf("a log that just began is said to be silent: %v", m.violations)
	}
	l.last = time.Now().Add(-Silence - time.Second)
	l.look(false)
	if len(m.violations) != 1 || m.violations[0].Invariant != "I8" {
		t.Errorf("got %v, want one of I8", m.violations)
	}
}
