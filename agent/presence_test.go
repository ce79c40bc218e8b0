package agent_test

import (
	"context"
	"sync"
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
		time.Sleep(2 * time.Second) // a release waits a second for a commit to share
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
			s.end(errHungUp)
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

// A link that is lost before the answer says nothing about the broker.
func TestPresenceOverABadLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink()
		sessions := lifeOf(l)
		a, _, _ := run(t, l, withPresence)
		for range 10 {
			s := <-sessions
			synctest.Wait()
			if len(s.published) != 1 {
				t.Fatal("presence was not published")
			}
			s.end(errLost)
		}
		if st := a.Status().Presence; st.Error != "" {
			t.Errorf("given up: %+v", st)
		}
	})
}

// TestOneSuspectAtATime has a broker that ends the session over one of what was asked of it and told at its beginning. That one is
// found, and nothing else is blamed.
func TestOneSuspectAtATime(t *testing.T) {
	for name, tc := range map[string]struct {
		subscription, presence, reading bool // which the broker doesn't bear
	}{
		"the subscription": {subscription: true},
		"presence":         {presence: true},
		"the reading":      {reading: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLink()
				sessions := make(chan *session, 10)
				var mu sync.Mutex
				var subscribing agent.Caution // as the link has it; guarded by mu
				l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) {
					s := newSession()
					mu.Lock()
					if subscribing.Allows(time.Now()) {
						s.settled = make(chan struct{})
					}
					mu.Unlock()
					sessions <- s
					return s, nil
				}
				a, q, _ := run(t, l, func(c *agent.Config) { withPresence(c); withPoison(c) })
				seq := put(t, a, "site/x", "1")
				var order []string
				for i := range 4 {
					s := <-sessions
					order = append(order, "session")
					hungUp := false
					if asked := s.settled; asked != nil {
						order = append(order, "subscription")
						time.Sleep(time.Second)
						if hungUp = tc.subscription; !hungUp {
							close(asked)
						}
						mu.Lock()
						subscribing.Ended(!hungUp, time.Now())
						mu.Unlock()
					}
					for until := time.Now().Add(2 * time.Second); !hungUp && time.Now().Before(until); {
						synctest.Wait()
						select {
						case r := <-s.published:
							if r.message.Topic == "pump-07/status" {
								order = append(order, "presence")
								hungUp = tc.presence
							} else {
								order = append(order, "reading")
								hungUp = tc.reading
							}
							if !hungUp {
								r.finish(nil)
							}
						default:
							time.Sleep(100 * time.Millisecond)
						}
					}
					for len(s.published) > 0 {
						r := <-s.published
						order = append(order, "beside it "+r.message.Topic)
						if i > 0 {
							t.Errorf("session %d: %s was on its way beside what it died of", i+1, r.message.Topic)
						}
					}
					s.end(errHungUp)
				}
				synctest.Wait()
				m, err := q.Get(seq)
				if tc.reading != (err == nil && m.Attempts > 0) {
					t.Errorf("the reading: %d attempts in vain, %v; the broker saw %v", m.Attempts, err, order)
				}
				if st := a.Status().Presence; tc.presence != (st.Error != "") {
					t.Errorf("presence: %+v; the broker saw %v", st, order)
				}
				mu.Lock()
				defer mu.Unlock()
				if gaveUp := !subscribing.Allows(time.Now()); tc.subscription != gaveUp {
					t.Errorf("the subscription was given up: %v; the broker saw %v", gaveUp, order)
				}
			})
		})
	}
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
