package field

import (
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fieldpost/fieldpost/agent/envelope"
)

// Each invariant that the history decides has a history that breaks it, and one beside it that does not.
func TestModelNoticesBrokenPromises(t *testing.T) {
	type step = func(*model)
	accept := func(sensor int, qos byte, seq uint64) step {
		return func(m *model) { m.answer(sensor, m.offer(sensor, qos, 2, 1), accepted, seq) }
	}
	arrive := func(sensor, n int, qos byte) step {
		return func(m *model) { m.arrived(topicOf(sensor), payload(sensor, n), qos, false) }
	}
	stamped := func(off time.Duration) step {
		return func(m *model) {
			p, err := envelope.NewEncoder(nil).Encode(envelope.Message{Device: "x", Readings: []envelope.Reading{
				{Seq: 1, Time: m.trueTime(time.Now()).Add(off), Quality: envelope.QualityKnown, Payload: payload(0, 0)}}})
			if err != nil {
				panic(err)
			}
			m.arrived(topicOf(0), p, 1, false)
		}
	}
	told := func(boot int, off time.Duration) step { return func(m *model) { m.told(boot, off) } }
	under := func(topic, payload string) *packets.PublishPacket {
		return &packets.PublishPacket{TopicName: topic, Payload: []byte(payload), MessageID: 7}
	}
	reused := func(held, p *packets.PublishPacket) step { return func(m *model) { m.reused(held, p) } }
	released := func(m *model) { m.checkReleased(map[uint64]bool{}, [4]uint64{}, "I2") }
	for _, test := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"delivered and released", []step{accept(0, 1, 1), arrive(0, 0, 1), released}, nil},
		{"released too early", []step{accept(0, 1, 1), released}, []string{"I2"}},
		{"still in the queue", []step{accept(0, 1, 1), func(m *model) { m.checkReleased(map[uint64]bool{1: true}, [4]uint64{}, "I2") }}, nil},
		{"dropped and counted", []step{accept(0, 1, 1), func(m *model) { m.checkReleased(nil, [4]uint64{2: 1}, "I2") }}, nil},
		{"dropped in another lane", []step{accept(0, 1, 1), func(m *model) { m.checkReleased(nil, [4]uint64{1: 1}, "I2") }}, []string{"I2"}},
		{"no answer was heard", []step{func(m *model) { m.offer(0, 1, 2, 1) }, released}, nil},
		{"in order, with a repeat", []step{accept(0, 1, 1), accept(0, 1, 2), arrive(0, 0, 1), arrive(0, 1, 1), arrive(0, 0, 1)}, nil},
		{"out of order", []step{accept(0, 1, 1), accept(0, 1, 2), arrive(0, 1, 1), arrive(0, 0, 1)}, []string{"I3"}},
		{"twice at QoS 2", []step{accept(0, 2, 1), arrive(0, 0, 2), arrive(0, 0, 2)}, []string{"I4"}},
		{"never offered", []step{arrive(0, 0, 1)}, []string{"I4"}},
		{"altered", []step{accept(0, 1, 1), func(m *model) { m.arrived(topicOf(0), payload(0, 0)[1:], 1, false) }}, []string{"I4"}},
		{"at a lower QoS", []step{accept(0, 2, 1), arrive(0, 0, 0)}, []string{"I4"}},
		{"at the higher QoS of its batch", []step{accept(0, 1, 1), arrive(0, 0, 2), arrive(0, 0, 2)}, nil},
		{"refused and sent", []step{func(m *model) { m.answer(0, m.offer(0, 1, 2, 1), refused, 0) }, arrive(0, 0, 1)}, []string{"I4"}},
		{"stamped rightly", []step{accept(0, 1, 1), told(1, 0), stamped(0)}, nil},
		{"stamped by a server that was wrong", []step{accept(0, 1, 1), told(1, time.Hour), told(1, 0), stamped(time.Hour)}, nil},
		{"stamped by nobody", []step{accept(0, 1, 1), stamped(0)}, []string{"I11"}},
		{"stamped in another boot", []step{accept(0, 1, 1), told(2, 0), stamped(0)}, []string{"I11"}},
		{"stamped wrongly", []step{accept(0, 1, 1), told(1, 0), stamped(-time.Minute)}, []string{"I11"}},
		{"repeated under its packet id", []step{reused(under("a", "1"), under("a", "1"))}, nil},
		{"another under its packet id", []step{reused(under("a", "1"), under("a", "2"))}, []string{"I4"}},
		{"another topic under its packet id", []step{reused(under("a", "1"), under("b", "1"))}, []string{"I4"}},
		{"of the device itself", []step{func(m *model) { m.arrived("pump-07/status", []byte("online"), 1, false) }}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
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
