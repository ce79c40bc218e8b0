package agent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

func withPresence(c *agent.Config) {
	c.Version = "1.2.3"
	c.Presence = agent.Presence{Topic: "pump-07/status", Boot: "c0ffee00"}
}

// lifeOf gives a link sessions that end when the test says so.
func lifeOf(l *link) <-chan *session {
	sessions := make(chan *session, 10)
	l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) {
		s := newSession()
		sessions <- s
		return s, nil
	}
	return sessions
}

func (s *session) wantNext(t *testing.T, topic, payload string) *receipt {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-s.published:
		if r.message.Topic != topic || string(r.message.Payload) != payload {
			t.Errorf("got %s %s, want %s %s", r.message.Topic, r.message.Payload, topic, payload)
		}
		return r
	default:
		t.Fatalf("nothing was published, want %s", payload)
		return nil
	}
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		sessions := lifeOf(l)
		a, _, stop := run(t, l, withPresence)
		first := <-sessions
		r := first.wantNext(t, "pump-07/status", `{"state":"online","version":"1.2.3","boot":"c0ffee00","waiting":0,"outage":{"cause":"start","s":0}}`)
		if !r.message.Retain || r.message.QoS != 1 {
			t.Errorf("got retain %v and QoS %d", r.message.Retain, r.message.QoS)
		}
		r.finish(nil)
		put(t, a, "site/x", "1")
		first.wantNext(t, "site/x", "1")
		time.Sleep(time.Hour)
		first.end(errLost)
		second := <-sessions // a minute later
		second.wantNext(t, "pump-07/status", `{"state":"online","version":"1.2.3","boot":"c0ffee00","waiting":1,"outage":{"cause":"lost","s":60}}`).finish(nil)
		second.wantNext(t, "site/x", "1").finish(nil)
		time.Sleep(time.Second)
		a.Reconnect()
		third := <-sessions // no outage, and no word of farewell
		third.wantNext(t, "pump-07/status", `{"state":"online","version":"1.2.3","boot":"c0ffee00","waiting":0}`).finish(nil)
		if n := len(second.published); n > 0 {
			t.Errorf("%d more messages on a session that was parted from to connect again", n)
		}
		if st := a.Status().Presence; st == nil || st.State != "online" || st.Published != 3 || st.Bytes < 300 || st.Error != "" {
			t.Errorf("status: %+v", st)
		}
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		third.wantNext(t, "pump-07/status", `{"state":"stopped","boot":"c0ffee00"}`).finish(nil)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

func TestPresenceOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		sessions := lifeOf(l)
		a, _, stop := run(t, l, nil)
		s := <-sessions
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := len(s.published); n > 0 || a.Status().Presence != nil {
			t.Errorf("got %d messages, status %+v", n, a.Status().Presence)
		}
	})
}

// A broker that closes the connection over the status topic gets it three times, and readings from then on.
func TestPresenceThatIsPunished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		sessions := lifeOf(l)
		a, _, _ := run(t, l, withPresence)
		for range 3 {
			s := <-sessions
			synctest.Wait()
			if len(s.published) == 0 {
				t.Fatal("presence was not published")
			}
			s.end(errLost)
		}
		put(t, a, "site/x", "1")
		s := <-sessions
		s.wantNext(t, "site/x", "1").finish(nil)
		if st := a.Status().Presence; st.Error == "" {
			t.Errorf("the status doesn't say why it is left out: %+v", st)
		}
		time.Sleep(25 * time.Hour)
		s.end(errLost)
		s = <-sessions
		synctest.Wait()
		(<-s.published).finish(nil)
		s.end(errLost)
		<-sessions
		synctest.Wait()
		if st := a.Status().Presence; st.Error != "" || st.Published != 5 {
			t.Errorf("a day later: %+v", st)
		}
	})
}

func TestCaution(t *testing.T) {
	var c agent.Caution
	now := time.Now()
	for i, answered := range []bool{false, false, true, false, false, false} {
		if gaveUp, want := c.Ended(answered, now), i == 5; gaveUp != want {
			t.Errorf("after %d: gave up %v, want %v", i+1, gaveUp, want)
		}
	}
	if c.Allows(now.Add(24*time.Hour-1)) || !c.Allows(now.Add(24*time.Hour)) {
		t.Error("it is left out for more or less than a day")
	}
}
