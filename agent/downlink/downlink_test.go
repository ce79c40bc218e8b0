package downlink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/downlink"
)

func TestCommands(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		command string
		payload string
		change  func(*downlink.Config)
		want    []string
		runs    int
	}{
		{name: "plain", payload: `{"id":"1"}`, want: []string{"1 ok"}, runs: 1},
		{name: "with args", payload: `{"id":"1","args":{"full":true}}`, want: []string{"1 ok"}, runs: 1},
		{name: "not expired", payload: `{"id":"1","expires":"2026-05-01T12:00:01Z"}`, want: []string{"1 ok"}, runs: 1},
		{name: "expired", payload: `{"id":"1","expires":"2026-05-01T12:00:00Z"}`, want: []string{"1 expired"}},
		{name: "expired, in seconds", payload: `{"id":"1","expires":1777636800}`, want: []string{"1 expired"}},
		{name: "sent long ago", payload: `{"id":"1","sent":"2026-04-30T11:59:59Z"}`, want: []string{"1 expired"}},
		{name: "sent yesterday", payload: `{"id":"1","sent":"2026-04-30T12:00:01Z"}`, want: []string{"1 ok"}, runs: 1},
		{name: "sent tomorrow", payload: `{"id":"1","sent":"2026-05-02T12:00:00Z"}`, want: []string{"1 expired"}},
		{name: "clock not set", payload: `{"id":"1","expires":"2026-05-01T12:00:01Z"}`, want: []string{"1 expired"},
			change: func(c *downlink.Config) { c.Clock = func() (time.Time, bool) { return time.Unix(0, 0), false } }},
		{name: "clock not set, no expiry", payload: `{"id":"1"}`, want: []string{"1 ok"}, runs: 1,
			change: func(c *downlink.Config) { c.Clock = func() (time.Time, bool) { return time.Unix(0, 0), false } }},
		{name: "not allowed", payload: `{"id":"1"}`, want: []string{"1 not_allowed"},
			change: func(c *downlink.Config) { c.Settings.Allow = []string{"flush", downlink.AllowForward} }},
		{name: "nobody to forward to", command: "valve", payload: `{"id":"1"}`, want: []string{"1 unavailable"}},
		{name: "no id", payload: `{}`, want: []string{" invalid"}},
		{name: "bad id", payload: `{"id":"a b"}`, want: []string{" invalid"}},
		{name: "no JSON", payload: `reboot`, want: []string{" invalid"}},
		{name: "unknown field", payload: `{"id":"1","arg":1}`, want: []string{"1 invalid"}},
		{name: "bad time", payload: `{"id":"1","expires":"soon"}`, want: []string{"1 invalid"}},
		{name: "two objects", payload: `{"id":"1"}{"id":"2"}`, want: []string{"1 invalid"}},
		{name: "bad name", command: "Rm -rf", payload: `{"id":"1"}`, want: []string{" invalid"}},
		{name: "too large", payload: `{"id":"1","args":"` + strings.Repeat("x", downlink.MaxPayload) + `"}`, want: []string{"1 too_large"}},
		{name: "empty", payload: ``, want: []string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s store
				var a action
				l := start(t, &s, func(c *downlink.Config) {
					with(false, map[string]*action{"status": &a})(c)
					c.Clock = func() (time.Time, bool) { return noon, true }
					if tt.change != nil {
						tt.change(c)
					}
				})
				if tt.command == "" {
					tt.command = "status"
				}
				l.get(tt.command, tt.payload)
				l.get(tt.command, tt.payload) // QoS 1: it may come again
				if len(tt.want) == 1 && tt.want[0][0] == ' ' {
					tt.want = append(tt.want, tt.want[0]) // without an id it can't be told from another one
				}
				if diff := cmp.Diff(tt.want, s.short(t)); diff != "" {
					t.Errorf("answers (-want +got):\n%s", diff)
				}
				if a.count() != tt.runs {
					t.Errorf("carried out %d times, want %d", a.count(), tt.runs)
				}
			})
		})
	}
}

func TestRetainedIsNeverCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s store
		var a action
		l := start(t, &s, with(false, map[string]*action{"status": &a}))
		for range 3 {
			if err := l.Handle(t.Context(), downlink.Message{Topic: "pump-07/cmd/status", Payload: []byte(`{"id":"1"}`), Retained: true}); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{"1 retained"}, s.short(t)); diff != "" || a.count() != 0 {
			t.Errorf("carried out %d times; answers (-want +got):\n%s", a.count(), diff)
		}
	})
}

// The agent is killed at each moment of a command, and the broker delivers it again to the next process: one answer.
func TestKilled(t *testing.T) {
	for _, once := range []bool{false, true} {
		t.Run(fmt.Sprint("once: ", once), func(t *testing.T) {
			want, runs := "1 ok", 2
			if once {
				want, runs = "1 interrupted", 1
			}
			synctest.Test(t, func(t *testing.T) {
				var s store
				a := action{hold: make(chan struct{})}
				l := start(t, &s, with(once, map[string]*action{"restart-module": &a}))
				l.get("restart-module", `{"id":"1"}`)
				if a.count() != 1 {
					t.Fatalf("carried out %d times before the kill, want once", a.count())
				}
				s.breaks(errors.New("this process is dead")) // nothing of it reaches the disk any more
				l.stop()
				s.breaks(nil)
				close(a.hold)
				for range 2 { // it comes again in the second life, and in the third
					l = start(t, &s, with(once, map[string]*action{"restart-module": &a}))
					l.get("restart-module", `{"id":"1"}`)
					l.stop()
				}
				if diff := cmp.Diff([]string{want}, s.short(t)); diff != "" {
					t.Errorf("answers (-want +got):\n%s", diff)
				}
				if a.count() != runs {
					t.Errorf("carried out %d times, want %d", a.count(), runs)
				}
			})
		})
	}
}

// A polite stop answers what was begun, and leaves what can be repeated to the next process.
func TestStopped(t *testing.T) {
	for once, want := range map[bool][]string{true: {"1 interrupted"}, false: {}} {
		synctest.Test(t, func(t *testing.T) {
			var s store
			a := action{hold: make(chan struct{})}
			l := start(t, &s, with(once, map[string]*action{"status": &a}))
			l.get("status", `{"id":"1"}`)
			l.stop()
			if diff := cmp.Diff(want, s.short(t)); diff != "" {
				t.Errorf("once %v: answers (-want +got):\n%s", once, diff)
			}
		})
	}
}

// The broker keeps what can't be stored.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s store
		var a action
		full := errors.New("no room")
		l := start(t, &s, with(false, map[string]*action{"status": &a}))
		synctest.Wait()
		s.breaks(full)
		m := downlink.Message{Topic: "pump-07/cmd/status", Payload: []byte(`{"id":"1"}`)}
		if err := l.Handle(t.Context(), m); !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, full)
		}
		s.breaks(nil)
		l.get("status", `{"id":"1"}`)
		if diff := cmp.Diff([]string{"1 ok"}, s.short(t)); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// While a command is at work the next ones wait at the broker, and a session that ends doesn't wait for it.
func TestOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s store
		a := action{hold: make(chan struct{})}
		l := start(t, &s, with(false, map[string]*action{"status": &a}))
		l.get("status", `{"id":"1"}`)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.Handle(ctx, downlink.Message{Topic: "pump-07/cmd/status", Payload: []byte(`{"id":"2"}`)})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the session", err)
		}
		close(a.hold)
		l.get("status", `{"id":"2"}`)
		if diff := cmp.Diff([]string{"1 ok", "2 ok"}, s.short(t)); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s store
		var a action
		l := start(t, &s, with(false, map[string]*action{"status": &a}))
		l.Configure(downlink.Settings{Allow: []string{"status"}, Rate: 3})
		for i := range 50 {
			l.get("status", fmt.Sprintf(`{"id":"%d"}`, i))
		}
		if diff := cmp.Diff([]string{"0 ok", "1 ok", "2 ok", "3 too_many"}, s.short(t)); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		time.Sleep(20 * time.Second)
		l.get("status", `{"id":"20"}`) // was over the rate, nobody has answered it
		l.get("status", `{"id":"21"}`)
		if got := s.short(t); len(got) != 5 || got[4] != "20 ok" {
			t.Errorf("after 20 s: got %v", got)
		}
		if st := l.Status(); st.Accepted != 4 || st.Refused != 48 {
			t.Errorf("status: %+v", st)
		}
	})
}

func TestForward(t *testing.T) {
	for args, want := range map[string]string{
		`"open \"wide\""`: `open "wide"`, `{"a": 1}`: `{"a": 1}`, `17`: `17`, `null`: ``,
	} {
		synctest.Test(t, func(t *testing.T) {
			var s store
			var got []string
			l := start(t, &s, func(c *downlink.Config) {
				c.Forward = func(_ context.Context, name string, payload []byte) error {
					got = append(got, name+"="+string(payload))
					return nil
				}
			})
			l.get("valve", `{"id":"1","args":`+args+`}`)
			if diff := cmp.Diff([]string{"valve=" + want}, got); diff != "" {
				t.Errorf("forwarded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOversizeIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s store
		l := start(t, &s, nil)
		synctest.Wait()
		l.Oversize("pump-07/cmd/valve", 100_000)
		synctest.Wait()
		if diff := cmp.Diff([]string{" too_large"}, s.short(t)); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// Of many commands the newest 128 are known.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s store
		var a action
		l := start(t, &s, func(c *downlink.Config) {
			with(false, map[string]*action{"status": &a})(c)
			c.Settings.Rate = 1000
		})
		for i := range 300 {
			l.get("status", fmt.Sprintf(`{"id":"%d","args":"%s"}`, i, strings.Repeat("x", downlink.MaxPayload-30)))
		}
		for i := 172; i < 300; i++ {
			l.get("status", fmt.Sprintf(`{"id":"%d"}`, i))
		}
		if a.count() != 300 {
			t.Errorf("carried out %d commands, want 300", a.count())
		}
	})
}
