package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Modem is what the commands do with the agent's module. Its errors are *Error where a command can branch on them; any other one
// is told as temporary.
type Modem interface {
	Info(ctx context.Context) (ModemInfo, error)
	// Command sends one AT command beside the running traffic; force sends also what disturbs the connection.
	Command(ctx context.Context, line string, force bool) ([]string, error)
	// Restart restarts the module; hard from outside, force without waiting for the time that is due between two restarts.
	Restart(ctx context.Context, hard, force bool) error
}

// ModemInfo is what the module knows; nil is unknown.
type ModemInfo struct {
	Schema       int     `json:"schema"`
	Port         string  `json:"port"`
	Model        *string `json:"model"`
	Revision     *string `json:"revision"`
	IMEI         *string `json:"imei"`
	ICCID        *string `json:"iccid"`
	Operator     *string `json:"operator"`
	SignalDBm    *int    `json:"signal_dbm"`
	Registration *string `json:"registration"`
	LAC          *string `json:"location_area"` // four hexadecimal digits
	Cell         *string `json:"cell"`          // four hexadecimal digits
	IP           *string `json:"ip"`
	NetworkTime  *string `json:"network_time"` // RFC 3339, UTC
	Alarm        *string `json:"alarm"`        // what somebody has to look at
}

// ModemInfoSchema is the version of the JSON form of ModemInfo.
const ModemInfoSchema = 1

// modemPatience is how long a route of the module may take: a command waits for one under way, each a minute at most, and a restart
// from outside takes half a minute.
const modemPatience = 3 * time.Minute

// maxLine bounds the body of a request; an AT command has 256 characters.
const maxLine = 4 << 10

type commandRequest struct {
	Line  string `json:"line"`
	Force bool   `json:"force"`
}

type commandAnswer struct {
	Lines []string `json:"lines"`
}

type restartRequest struct {
	Hard  bool `json:"hard"`
	Force bool `json:"force"`
}

// handleModem adds the routes of the module.
func (s *Server) handleModem() {
	s.mux.HandleFunc("GET /v1/modem", s.withModem(func(ctx context.Context, m Modem, _ *json.Decoder) (any, error) {
		return m.Info(ctx)
	}))
	s.mux.HandleFunc("POST /v1/modem/command", s.withModem(func(ctx context.Context, m Modem, body *json.Decoder) (any, error) {
		var r commandRequest
		if err := body.Decode(&r); err != nil {
			return nil, &Error{CodeInvalid, "control: the request can't be read: " + err.Error()}
		}
		lines, err := m.Command(ctx, r.Line, r.Force)
		return commandAnswer{lines}, err
	}))
	s.mux.HandleFunc("POST /v1/modem/restart", s.withModem(func(ctx context.Context, m Modem, body *json.Decoder) (any, error) {
		var r restartRequest
		if err := body.Decode(&r); err != nil {
			return nil, &Error{CodeInvalid, "control: the request can't be read: " + err.Error()}
		}
		return struct{}{}, m.Restart(ctx, r.Hard, r.Force)
	}))
}

// withModem answers with what do returns.
func (s *Server) withModem(do func(context.Context, Modem, *json.Decoder) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Modem == nil {
			fail(w, http.StatusNotFound, CodeNoModem, "control: this agent has no module: its link is the machine's own network")
			return
		}
		// A connection that knows no deadline has none to move.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(modemPatience + 10*time.Second))
		ctx, cancel := context.WithTimeout(r.Context(), modemPatience)
		defer cancel()
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLine))
		body.DisallowUnknownFields()
		answer, err := do(ctx, s.cfg.Modem, body)
		var e *Error
		switch {
		case err == nil:
			reply(w, http.StatusOK, answer)
		case errors.As(err, &e):
			fail(w, e.status(), e.Code, e.Message)
		default:
			fail(w, http.StatusServiceUnavailable, CodeTemporary, err.Error())
		}
	}
}

// status is the HTTP status of an error of the module.
func (e *Error) status() int {
	switch e.Code {
	case CodeInvalid:
		return http.StatusBadRequest
	case CodeRefused:
		return http.StatusBadGateway
	}
	return http.StatusServiceUnavailable
}
