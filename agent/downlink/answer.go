package downlink

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Codes of answers that say no.
const (
	CodeInvalid     = "invalid"     // the command can't be understood
	CodeTooLarge    = "too_large"   // its payload is over the limit
	CodeNotAllowed  = "not_allowed" // downlink.allow doesn't name it
	CodeRetained    = "retained"    // it was published with the retain flag
	CodeExpired     = "expired"     // it is stale, or whether it is can't be told
	CodeTooMany     = "too_many"    // it came faster than downlink.rate
	CodeTooSoon     = "too_soon"    // the module must not be restarted yet
	CodeUnavailable = "unavailable" // there is nothing here that could do it now
	CodeUnconfirmed = "unconfirmed" // local software got it and has not acknowledged it
	CodeInterrupted = "interrupted" // the agent ended in the middle of it: whether it was done is not known
	CodeFailed      = "failed"
)

// Refusal is the error of an action with the code of its answer.
type Refusal struct {
	Code string
	Err  error
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(code, format string, args ...any) error {
	return &Refusal{code, fmt.Errorf(format, args...)}
}

// Answer is what goes up for a command. Of a command without a readable id the id is left out.
type Answer struct {
	ID     string `json:"id,omitempty"`
	Cmd    string `json:"cmd,omitempty"`
	OK     bool   `json:"ok"`
	Result any    `json:"result,omitempty"`
	Code   string `json:"code,omitempty"`
	Error  string `json:"error,omitempty"`
}

// answerTo makes the answer to a command.
func answerTo(id, cmd string, result any, err error) []byte {
	a := Answer{ID: id, Cmd: cmd, OK: err == nil, Result: result}
	if err != nil {
		a.Result, a.Code, a.Error = nil, CodeFailed, err.Error()
		var r *Refusal
		if errors.As(err, &r) {
			a.Code = r.Code
		}
	}
	text, err := json.Marshal(a)
	if err != nil {
		return answerTo(id, cmd, nil, fmt.Errorf("the result can't be written: %w", err))
	}
	return text
}
