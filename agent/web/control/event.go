package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// event is a line of the answer to something long, and how it stands after that line. The last one is Done, and has the
// error if there was one.
type event[T any] struct {
	Done  bool   `json:"done"`
	State T      `json:"state"`
	Err   *Error `json:"error,omitempty"`
}

func newEvent[T any](done bool, state T, err error) event[T] {
	e := event[T]{Done: done, State: state}
	if err != nil {
		_, code := classify(err)
		e.Err = &Error{Code: code, Message: err.Error()}
	}
	return e
}

// events writes them as JSON lines, each at once.
type events[T any] struct {
	out  *json.Encoder
	conn *http.ResponseController
}

func newEvents[T any](w http.ResponseWriter) events[T] {
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/jsonl")
	e := events[T]{json.NewEncoder(patientAnswer{w, patience{rc}}), rc}
	_ = rc.Flush() // the header, so that the command knows that it was heard
	return e
}

// send fails only when the command has gone, which the work itself notices by its context.
func (e events[T]) send(done bool, state T, err error) {
	_ = e.out.Encode(newEvent(done, state, err))
	_ = e.conn.Flush()
}

// follow reads events to the last one.
func follow[T any](r io.Reader, progress func(T)) (state T, err error) {
	decoder := json.NewDecoder(r)
	for {
		var e event[T]
		if err := decoder.Decode(&e); err != nil {
			return state, errCutOff(err)
		}
		state = e.State
		switch {
		case e.Err != nil:
			return state, e.Err
		case e.Done:
			return state, nil
		case progress != nil:
			progress(state)
		}
	}
}

func errCutOff(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("control: the agent has gone before it was done: %w", err)
}
