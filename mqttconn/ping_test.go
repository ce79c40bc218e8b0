package mqttconn_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// silences collects what Config.Heard is told.
type silences struct {
	mu   sync.Mutex
	list []time.Duration
}

func (s *silences) heard(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, d.Round(time.Second))
}

func (s *silences) all() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

func TestPingsFollowTheIntervalThatIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		var heard silences
		intervals := []time.Duration{time.Minute, 2 * time.Minute, 30 * time.Second, time.Hour} // the last is more than was promised
		cfg := mqttconn.Config{ClientID: "pump-07", KeepAlive: 10 * time.Minute, Heard: heard.heard}
		cfg.PingAfter = func() time.Duration { return intervals[min(len(heard.all()), len(intervals)-1)] }
		connect(t, b.dial, cfg)
		time.Sleep(14 * time.Minute)
		want := []time.Duration{time.Minute, 2 * time.Minute, 30 * time.Second, 10 * time.Minute}
		if diff := cmp.Diff(want, heard.all()); diff != "" {
			t.Errorf("silences that ended with an answer (-want +got):\n%s", diff)
		}
		if got := got[*packets.ConnectPacket](b)[0].Keepalive; got != 600 {
			t.Errorf("CONNECT promises %d s, want the 600 of the configuration", got)
		}
	})
}

func TestNoPingWhileUnansweredMessagesFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		var heard silences
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07", KeepAlive: 2 * time.Minute, Heard: heard.heard})
		for seq := range uint64(30) {
			publish(t, s, mqttconn.Message{Seq: seq})
			time.Sleep(time.Minute)
		}
		if got := s.Stats().Pings; got != 0 {
			t.Errorf("%d pings beside messages of QoS 0, want none", got)
		}
		if got := len(heard.all()); got != 29 {
			t.Errorf("%d acknowledged silences, want 29: the bytes of QoS 0 were acknowledged", got)
		}
	})
}

func TestSilenceTellsWhatTheEndCameAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
		time.Sleep(4 * time.Minute)
		b.wire().cut()
		<-s.Done()
		time.Sleep(time.Minute)
		if d, unanswered := s.Silence(); d != 4*time.Minute || unanswered {
			t.Errorf("cut after 4 min: %v, unanswered %v; want 4m, false", d, unanswered)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBroker{answer: silent}
		s := connect(t, b.dial, mqttconn.Config{ClientID: "pump-07"})
		time.Sleep(7 * time.Minute)
		publish(t, s, mqttconn.Message{Seq: 1, QoS: 1})
		<-s.Done()
		wantEnd(t, s, mqttconn.CauseUnanswered)
		if d, unanswered := s.Silence(); d.Round(time.Second) != 7*time.Minute || !unanswered {
			t.Errorf("no answer after 7 min: %v, unanswered %v; want 7m, true", d, unanswered)
		}
	})
}
