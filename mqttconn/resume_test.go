package mqttconn_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

func flight(seq uint64, id uint16, received bool) mqttconn.Flight {
	return mqttconn.Flight{Seq: seq, PacketID: id, Received: received}
}

// sent describes the packets after CONNECT.
func sent(b *fakeBroker) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, p := range b.packets {
		switch p := p.(type) {
		case *packets.PublishPacket:
			list = append(list, fmt.Sprintf("PUBLISH %d qos %d dup %v %s", p.MessageID, p.Qos, p.Dup, p.Payload))
		case *packets.PubrelPacket:
			list = append(list, fmt.Sprintf("PUBREL %d", p.MessageID))
		}
	}
	return list
}

// leftovers are the flights of an earlier connection, among them some that cannot be resumed.
func leftovers() []mqttconn.Resume {
	message := func(seq uint64, qos byte) mqttconn.Message {
		return mqttconn.Message{Seq: seq, Topic: "site/pump", QoS: qos, Payload: fmt.Append(nil, "reading ", seq)}
	}
	return []mqttconn.Resume{
		{Flight: flight(20, 7, false), Message: message(20, 1)}, // out of the order of the ids: the queue's order counts
		{Flight: flight(21, 5, true), Message: message(21, 2)},
		{Flight: flight(22, 9, false), Message: message(22, 2)},
		{Flight: mqttconn.Flight{Seq: 23, PacketID: 11, Exact: true}}, // its message is gone
		{Flight: flight(28, 13, false)},                               // likewise, at QoS 1
		{Flight: flight(24, 0, false), Message: message(24, 1)},
		{Flight: flight(25, 3, false), Message: message(25, 0)},
		{Flight: flight(26, 8, false), Message: message(26, 1)}, // the id belongs to the next one
		{Flight: flight(27, 8, false), Message: message(27, 1)},
	}
}

func TestResume(t *testing.T) {
	tests := []struct {
		name    string
		present bool
		clean   bool
		resumed []uint64
		sent    []string
	}{
		{
			name: "session kept", present: true,
			resumed: []uint64{20, 21, 22, 23, 27},
			sent: []string{
				"PUBLISH 7 qos 1 dup true reading 20", "PUBREL 5", "PUBLISH 9 qos 2 dup true reading 22", "PUBREL 11",
				"PUBLISH 8 qos 1 dup true reading 27", "PUBLISH 12 qos 1 dup false new",
			},
		},
		{name: "session lost", sent: []string{"PUBLISH 1 qos 1 dup false new"}},
		{name: "clean session asked for", present: true, clean: true, sent: []string{"PUBLISH 1 qos 1 dup false new"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fakeBroker{answer: silent}
				if tt.present {
					b.session = map[uint16]string{5: "reading 21"}
				}
				j := newFakeQueue(1, 0)
				j.now.flights[20] = flight(20, 7, false)
				s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Journal: j, Resume: leftovers(), Clean: tt.clean})
				publish(t, s, mqttconn.Message{Seq: 30, QoS: 1, Payload: []byte("new")})
				time.Sleep(time.Second)

				if got, want := s.SessionPresent(), tt.present && !tt.clean; got != want {
					t.Errorf("session present: got %v, want %v", got, want)
				}
				var resumed []uint64
				for _, r := range s.Resumed() {
					resumed = append(resumed, r.Seq())
				}
				if diff := cmp.Diff(tt.resumed, resumed); diff != "" {
					t.Errorf("resumed (-want +got):\n%s", diff)
				}
				got := sent(b)
				if len(got) > len(tt.sent) {
					got = got[:len(tt.sent)]
				}
				if diff := cmp.Diff(tt.sent, got); diff != "" {
					t.Errorf("sent (-want +got):\n%s", diff)
				}
				if _, kept := j.durable.flights[20]; kept || len(j.now.flights) > 1 && !s.SessionPresent() {
					t.Errorf("the journal still has flights that the broker has forgotten: %v", j.now.flights)
				}
				if got, want := s.Stats().InFlight, len(tt.resumed)+1; got != want {
					t.Errorf("in flight: got %d, want %d", got, want)
				}
			})
		})
	}
}

// TestResumedPubrelKeepsItsID publishes while a PUBREL of an earlier connection is open: its id must not be given out.
func TestResumedPubrelKeepsItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent, session: map[uint16]string{1: "a", 2: "b"}}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Resume: []mqttconn.Resume{
			{Flight: flight(1, 1, true)}, {Flight: flight(2, 2, true)},
		}})
		var receipts []*mqttconn.Receipt
		for seq := range uint64(3) {
			receipts = append(receipts, publish(t, s, mqttconn.Message{Seq: seq + 3, QoS: 1}))
		}
		time.Sleep(time.Second)
		if got := b.count("PUBLISH"); got != 3 {
			t.Fatalf("arrived: %d messages, want 3", got)
		}
		for _, p := range got[*packets.PublishPacket](b) {
			if p.MessageID <= 2 {
				t.Errorf("packet id %d was given out again", p.MessageID)
			}
		}
		b.push(ackBytes(packets.Pubcomp, 1)...)
		b.push(ackBytes(packets.Pubcomp, 2)...)
		for _, r := range s.Resumed() {
			if r.Err() != nil {
				t.Errorf("message %d: %v", r.Seq(), r.Err())
			}
		}
		for _, r := range receipts {
			if isDone(r.Done()) {
				t.Errorf("message %d was released by another's answer", r.Seq())
			}
		}
	})
}

// TestPubrecBeforeTheRepeatedPublish has a broker that repeats its PUBRECs right behind CONNACK, as some do. No PUBLISH may
// follow the PUBREL under the same id: it would be a new message.
func TestPubrecBeforeTheRepeatedPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const flights = 40
		b := &fakeBroker{session: make(map[uint16]string)}
		j := newFakeQueue(1, 0)
		var resume []mqttconn.Resume
		for id := uint16(1); id <= flights; id++ {
			b.session[id] = fmt.Sprint("reading ", id)
			resume = append(resume, mqttconn.Resume{Flight: flight(uint64(id), id, false),
				Message: mqttconn.Message{Seq: uint64(id), Topic: "site/pump", QoS: 2, Payload: fmt.Append(nil, "reading ", id)}})
		}
		b.answer = func(p packet) []byte {
			if _, ok := p.(*packets.ConnectPacket); !ok {
				return nil
			}
			out := []byte{0x20, 2, 1, 0} // CONNACK, session present
			for id := uint16(1); id <= flights; id++ {
				out = append(out, ackBytes(packets.Pubrec, id)...)
			}
			return out
		}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Journal: j, Resume: resume})
		for _, r := range s.Resumed() {
			if err := r.Err(); err != nil {
				t.Fatalf("message %d: %v", r.Seq(), err)
			}
		}
		released := make(map[uint16]bool)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.packets {
			switch p := p.(type) {
			case *packets.PubrelPacket:
				released[p.MessageID] = true
			case *packets.PublishPacket:
				if released[p.MessageID] {
					t.Errorf("PUBLISH %d after its PUBREL", p.MessageID)
				}
			}
		}
		if len(released) != flights {
			t.Errorf("%d of %d messages were released", len(released), flights)
		}
	})
}

// TestRepeatedPubrec has a broker that answers PUBREC twice. One PUBREL is enough, and a second one that is late would be for an id
// that another message has by then.
func TestRepeatedPubrec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		b.answer = func(p packet) []byte {
			if p, ok := p.(*packets.PublishPacket); ok {
				once := b.publish(p)
				return append(once, once...)
			}
			return nil
		}
		j := newFakeQueue(2, 3)
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", Journal: j})
		for _, m := range j.messages {
			if err := publish(t, s, m).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if n := b.count("PUBREL"); n != len(j.messages) {
			t.Errorf("%d PUBRELs for %d messages", n, len(j.messages))
		}
		if diff := cmp.Diff([]string{"reading 1", "reading 2", "reading 3"}, b.payloads()); diff != "" {
			t.Errorf("arrived (-want +got):\n%s", diff)
		}
		if got := s.Stats().Strays; got != uint64(len(j.messages)) {
			t.Errorf("%d strays, want each second PUBREC", got)
		}
	})
}
