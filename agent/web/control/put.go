package control

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/queue"
)

// sender is what messages of the command line have as their source.
const sender = "send"

// Stored is the answer to a message that is on disk.
type Stored struct {
	Seq uint64 `json:"seq"`
}

func (s *Server) put(w http.ResponseWriter, r *http.Request) {
	m, err := message(r.PathValue("topic"), r.URL.Query(), s.cfg.QoS)
	if err != nil {
		fail(w, http.StatusBadRequest, CodeInvalid, err.Error())
		return
	}
	m.Payload, err = io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxPayload))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		fail(w, http.StatusRequestEntityTooLarge, CodeTooLarge,
			fmt.Sprintf("control: the payload is over the limit of %d bytes: send less at a time", over.Limit))
		return
	case err != nil:
		fail(w, http.StatusBadRequest, CodeInvalid, "control: the payload ended early: "+err.Error())
		return
	}
	seq, err := s.cfg.Put(r.Context(), m)
	if err != nil {
		status, code := classify(err)
		fail(w, status, code, err.Error())
		return
	}
	reply(w, http.StatusAccepted, Stored{Seq: seq})
}

// message checks what a request asks for. Query keys that nobody knows are refused: a misspelt one would otherwise send
// the message in another way than was meant.
func message(topic string, query url.Values, qos byte) (queue.Message, error) {
	m := queue.Message{Topic: topic, QoS: qos, Source: sender}
	if err := queue.ValidateTopic(topic); err != nil {
		return m, err
	}
	for key := range query {
		value := query.Get(key)
		switch key {
		case "qos":
			n, err := strconv.ParseUint(value, 10, 8)
			if err != nil || n > 2 {
				return m, fmt.Errorf("control: qos %q is none of 0, 1, 2", value)
			}
			m.QoS = byte(n)
		case "retain":
			on, err := strconv.ParseBool(value)
			if err != nil {
				return m, fmt.Errorf("control: retain %q is neither true nor false", value)
			}
			m.Retain = on
		case "lane":
			lane, err := queue.ParseLane(value)
			if err != nil {
				return m, err
			}
			m.Lane = lane
		default:
			return m, fmt.Errorf("control: %q is none of qos, retain, lane", key)
		}
	}
	return m, nil
}

// classify finds the answer to a message that was not stored.
func classify(err error) (status int, code Code) {
	switch source.ReasonOf(err) {
	case source.Invalid:
		return http.StatusBadRequest, CodeInvalid
	case source.TooLarge:
		return http.StatusRequestEntityTooLarge, CodeTooLarge
	case source.Full:
		return http.StatusInsufficientStorage, CodeFull
	}
	return http.StatusServiceUnavailable, CodeTemporary
}
