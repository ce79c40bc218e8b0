package web_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web"
)

// nextStatus reads an event of /api/v1/events.
func nextStatus(t *testing.T, stream *events) agent.Status {
	t.Helper()
	ev, err := stream.next()
	if err != nil {
		t.Fatal(err)
	}
	var st agent.Status
	if err := json.Unmarshal([]byte(ev.data), &st); err != nil || ev.name != "status" {
		t.Fatalf("event %q: %v", ev.name, err)
	}
	return st
}

func TestEventsComeOnAChangeAndAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		client, _ := serve(t, newServer(t, web.Config{Status: b.status}))
		stream := follow(t, client, "/api/v1/events")
		begun := time.Now()
		expect := func(verdict agent.Verdict, after time.Duration) {
			t.Helper()
			st := nextStatus(t, stream)
			if got := time.Since(begun); st.Verdict != verdict || got != after {
				t.Errorf("got %q after %v, want %q after %v", st.Verdict, got, verdict, after)
			}
		}
		expect(agent.VerdictOK, 0)
		// Nothing changes but the time and the span in the reason: a sign of life every 5 s.
		expect(agent.VerdictOK, 5*time.Second)
		time.Sleep(1500 * time.Millisecond)
		b.set(searching(time.Now()))
		expect(agent.VerdictConnecting, 7*time.Second)
		// However fast things change, one event a second.
		for range 10 {
			b.set(healthy(time.Now()))
			time.Sleep(20 * time.Millisecond)
			b.set(searching(time.Now()))
			time.Sleep(20 * time.Millisecond)
		}
		b.set(healthy(time.Now()))
		expect(agent.VerdictOK, 8*time.Second)
		expect(agent.VerdictOK, 13*time.Second)
	})
}

func TestEventsIgnoreThePassingOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		client, _ := serve(t, newServer(t, web.Config{Status: b.status}))
		stream := follow(t, client, "/api/v1/events")
		begun := time.Now()
		nextStatus(t, stream)
		time.Sleep(1500 * time.Millisecond)
		st := b.status()
		st.Reason = "connected for 2 h 1 min; 3 messages wait"
		b.set(st)
		nextStatus(t, stream)
		if got, want := time.Since(begun), 5*time.Second; got != want {
			t.Errorf("an event for another span: got it after %v, want %v", got, want)
		}
	})
}

// A stream outlives the timeouts that single answers have, and ends with the server.
func TestEventsLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		client, stop := serve(t, newServer(t, web.Config{Status: b.status}))
		stream := follow(t, client, "/api/v1/events")
		begun := time.Now()
		for time.Since(begun) < 10*time.Minute {
			nextStatus(t, stream)
		}
		told := time.Now()
		go stop()
		if _, err := stream.next(); err == nil {
			t.Error("the stream goes on after the server's end")
		}
		// It doesn't use up the grace that single answers have.
		if got := time.Since(told); got >= time.Second {
			t.Errorf("the stream ended %v after the server was told to stop", got)
		}
		stop()
	})
}

func TestEventsOfAStuckClientEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		client, _ := serve(t, newServer(t, web.Config{Status: b.status}))
		stream := follow(t, client, "/api/v1/events")
		nextStatus(t, stream)
		time.Sleep(time.Minute) // reads nothing for so long
		var err error
		for err == nil {
			_, err = stream.next()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the stream of a client that doesn't read: got %v, want it cut", err)
		}
	})
}

func TestStreamsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		client, _ := serve(t, newServer(t, web.Config{Status: b.status}))
		var streams []*events
		for range 12 {
			streams = append(streams, follow(t, client, "/api/v1/events"))
		}
		resp, err := client.Get("http://localhost/live")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got, want := resp.StatusCode, http.StatusServiceUnavailable; got != want || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one stream too many: got %d, want %d with Retry-After", got, want)
		}
		streams[0].body.Close()
		time.Sleep(2 * time.Second)
		follow(t, client, "/live") // there is room again
	})
}

func TestLiveSendsWhatThePageShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(healthy(time.Now()))
		client, _ := serve(t, newServer(t, web.Config{Status: b.status}))
		stream := follow(t, client, "/live")
		var names []string
		seen := map[string]string{}
		for begun := time.Now(); time.Since(begun) < 62*time.Second; {
			ev, err := stream.next()
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, ev.name)
			var html string
			if err := json.Unmarshal([]byte(ev.data), &html); err != nil {
				t.Fatal(err)
			}
			seen[ev.name] = html
			if len(names) == 3 {
				b.set(searching(time.Now()))
			}
		}
		for name, want := range map[string]string{"now": "Connecting", "lists": "pump-07/pressure", "charts": "Waiting messages"} {
			if !strings.Contains(seen[name], want) {
				t.Errorf("event %q: got %s, want it with %q", name, seen[name], want)
			}
		}
		charts := 0
		for _, name := range names {
			if name == "charts" {
				charts++
			}
		}
		if charts != 2 {
			t.Errorf("charts in the first minute: got %d of %v, want one at once and one at its end", charts, names)
		}
	})
}

func TestHostileTextStaysInItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		b.set(hostile(time.Now()))
		client, _ := serve(t, newServer(t, web.Config{Status: b.status}))
		for path, known := range map[string]string{"/live": "now lists charts", "/api/v1/events": "status"} {
			stream := follow(t, client, path)
			for range 4 {
				ev, err := stream.next()
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				if !strings.Contains(known, ev.name) || ev.name == "" {
					t.Errorf("%s: got event %q, want one of %s", path, ev.name, known)
				}
			}
		}
	})
}
