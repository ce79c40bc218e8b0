package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/fieldpost/fieldpost/agent"
)

// A stream looks once a second and speaks when something has changed, and every 5 s all the same: the spans in the texts
// grow, and a proxy or a client sees that the agent lives.
const (
	lookEvery  = time.Second
	speakEvery = 5 * time.Second
)

// event is one server-sent event. The data is JSON, whose encoding has no line breaks: nothing that comes from outside
// (a topic with a CR in it) can end it early.
type event struct {
	name string
	data any
}

// events streams the status.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	s.stream(w, r, func(st agent.Status) []event { return []event{{"status", st}} })
}

// live streams the page's parts as HTML, each event named for the element that it fills; the charts come with each new
// minute only.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	drawn := uint64(0)
	s.stream(w, r, func(st agent.Status) []event {
		v := s.view(st)
		out := []event{{"now", nowPart(v)}, {"lists", listsPart(v)}}
		if n := s.history.recorded(); n != drawn {
			drawn = n
			out = append(out, event{"charts", chartsPart(newCharts(s.history.all(), st, s.cfg.Reach))})
		}
		return out
	})
}

// stream sends events until the client or the server goes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, events func(agent.Status) []event) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, fmt.Sprintf("%d clients follow the status already: close one.", maxStreams), http.StatusServiceUnavailable)
		return
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var last agent.Status
	var spoke time.Time
	for {
		if st, now := s.cfg.Status(), time.Now(); changed(last, st) || now.Sub(spoke) >= speakEvery {
			last, spoke = st, now
			// The server's timeout is for single answers; a stream lives on for as long as each event gets through.
			_ = out.SetWriteDeadline(now.Add(2 * speakEvery))
			if send(w, events(st)) != nil || out.Flush() != nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

func send(w http.ResponseWriter, events []event) error {
	for _, e := range events {
		data, err := json.Marshal(e.data)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.name, data); err != nil {
			return err
		}
	}
	return nil
}

// changed tells whether b says more than a beyond the passing of time: the reason names spans, and what else it names
// shows in the other fields.
func changed(a, b agent.Status) bool {
	a.Time, a.Reason = time.Time{}, ""
	b.Time, b.Reason = time.Time{}, ""
	return !reflect.DeepEqual(a, b)
}
