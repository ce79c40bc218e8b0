package web

import (
	"context"
	"net/http"
	"time"
)

// Action is something that the page can do.
type Action struct {
	Name  string // in the path of its request: "reconnect"
	Label string // of its button
	Ask   string // question before it is done; "" for none
	Done  string // sentence for the reader when it is done
	// Run does it; its error is shown. ctx ends with the request.
	Run func(ctx context.Context) error
}

// actionPatience bounds an action: a restart of the module from outside takes half a minute, and it may wait for a command
// under way, which takes a minute at most.
const actionPatience = 2 * time.Minute

// outcome is the answer to an action.
type outcome struct {
	OK   bool   `json:"ok"`
	Text string `json:"text"` // a sentence
}

// actions are those that can be done now. Without a token every program on this machine could ask for them.
func (s *Server) actions() []Action {
	if !s.guard.admission.Load().asks {
		return nil
	}
	return s.cfg.Actions
}

func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	if !s.guard.admission.Load().asks {
		reply(w, http.StatusForbidden, outcome{Text: "The page does nothing without a token: set web.token_file in the configuration."})
		return
	}
	for _, a := range s.actions() {
		if a.Name == r.PathValue("name") {
			s.carryOut(w, r, a)
			return
		}
	}
	reply(w, http.StatusNotFound, outcome{Text: "This agent has no such action."})
}

// carryOut does one action at a time.
func (s *Server) carryOut(w http.ResponseWriter, r *http.Request, a Action) {
	select {
	case s.acting <- struct{}{}:
		defer func() { <-s.acting }()
	default:
		reply(w, http.StatusConflict, outcome{Text: "Another action is under way: wait for its end."})
		return
	}
	// A connection that knows no deadline has none to move.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(actionPatience + 10*time.Second))
	ctx, cancel := context.WithTimeout(r.Context(), actionPatience)
	defer cancel()
	s.cfg.Log.Info().Str("action", a.Name).Str("client", r.RemoteAddr).Msg("asked for on the status page")
	if err := a.Run(ctx); err != nil {
		reply(w, http.StatusServiceUnavailable, outcome{Text: sentence(err.Error())})
		return
	}
	reply(w, http.StatusOK, outcome{OK: true, Text: a.Done})
}
