package web

import (
	"encoding/json"
	"log"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
)

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.cfg.Status())
}

// health is the answer of both health checks.
type health struct {
	OK      bool          `json:"ok"`
	Verdict agent.Verdict `json:"verdict"`
	Reason  string        `json:"reason"`
}

// healthz says whether the process should live on: failed storage is a reason to restart it. No connection is none, nor a disk that is
// full or read-only: a restart frees no room, and delivery, which does, would begin anew.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Status()
	answer(w, st, st.Queue.Error == "")
}

// readyz says whether readings are taken in and messages flow, or may be expected to soon.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	st := s.cfg.Status()
	starting := st.StartedAt != nil && st.Time.Sub(*st.StartedAt) < s.cfg.ReadyGrace
	answer(w, st, st.Queue.Error == "" && st.Queue.Refusing == "" && (st.Link.Connected || starting))
}

func answer(w http.ResponseWriter, st agent.Status, ok bool) {
	code := http.StatusOK
	if !ok {
		code = http.StatusServiceUnavailable
	}
	reply(w, code, health{OK: ok, Verdict: st.Verdict, Reason: st.Reason})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has gone
}

// errorLog takes what net/http complains about: mostly clients that break off, so it is no warning.
func errorLog(l zerolog.Logger) *log.Logger {
	return log.New(lineWriter{l}, "", 0)
}

type lineWriter struct{ log zerolog.Logger }

func (w lineWriter) Write(line []byte) (int, error) {
	w.log.Debug().Str("text", string(line)).Msg("status page: a client's request failed")
	return len(line), nil
}
