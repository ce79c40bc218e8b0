package source

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/fieldpost/fieldpost/queue"
)

const (
	// maxBatch messages share one commit at most, so that others get their turn.
	maxBatch = 1000
	// maxBatchBytes is what a request with a batch may cost in memory.
	maxBatchBytes = 1 << 20
	// maxBatches are read and stored at a time. One takes 5 MiB until its memory is collected; 64 took more than the unit allows.
	maxBatches = 8
)

// A line is one message of a batch. What it leaves out comes from the query.
type line struct {
	Topic         string          `json:"topic"`
	Payload       json.RawMessage `json:"payload"`        // a string stands for its text, anything else for its JSON
	PayloadBase64 []byte          `json:"payload_base64"` // instead of payload
	QoS           *byte           `json:"qos"`
	Retain        *bool           `json:"retain"`
	Lane          *string         `json:"lane"`
	Expiry        *string         `json:"expiry"`
}

// readLines returns the messages of a batch.
func (s *HTTP) readLines(w http.ResponseWriter, r *http.Request, base queue.Message) ([]queue.Message, error) {
	if !isLines(r.Header.Get("Content-Type")) {
		return nil, unsupported("source: without a topic in the path the body must be JSON lines")
	}
	body, err := readBody(w, r, max(maxBatchBytes, s.cfg.Limits.maxPayload()))
	if err != nil {
		return nil, err
	}
	var msgs []queue.Message
	number := 0
	for text := range bytes.Lines(body) {
		number++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		m, err := parseLine(base, text)
		if err == nil {
			err = s.cfg.Limits.Check(m)
		}
		if err != nil {
			return msgs, refuse(ReasonOf(err), "line %d: %s", number, strings.TrimPrefix(err.Error(), "source: "))
		}
		if msgs = append(msgs, m); len(msgs) > maxBatch {
			return msgs, refuse(TooLarge, "there are more than %d messages", maxBatch)
		}
	}
	if len(msgs) == 0 {
		return nil, refuse(Invalid, "there is no message in the body")
	}
	return msgs, nil
}

func parseLine(m queue.Message, text []byte) (queue.Message, error) {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return m, refuse(Invalid, "not a message: %v", err)
	}
	if decoder.More() {
		return m, refuse(Invalid, "more than one JSON value in a line")
	}
	m.Topic = l.Topic
	switch {
	case l.Payload != nil && l.PayloadBase64 != nil:
		return m, refuse(Invalid, "both payload and payload_base64")
	case l.PayloadBase64 != nil:
		m.Payload = l.PayloadBase64
	case len(l.Payload) > 0 && l.Payload[0] == '"':
		var s string
		if err := json.Unmarshal(l.Payload, &s); err != nil {
			return m, refuse(Invalid, "not a message: %v", err)
		}
		m.Payload = []byte(s)
	case l.Payload != nil:
		m.Payload = l.Payload
	default:
		return m, refuse(Invalid, "the payload is missing; an empty one is \"\"")
	}
	if l.QoS != nil {
		m.QoS = *l.QoS
	}
	if l.Retain != nil {
		m.Retain = *l.Retain
	}
	var err error
	if l.Lane != nil {
		m.Lane, err = parseLane(*l.Lane)
	}
	if l.Expiry != nil && err == nil {
		m.Expires, err = parseExpiry(*l.Expiry)
	}
	return m, err
}
