package queue

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// messageJSON is the form of a message on a line of an export.
type messageJSON struct {
	Schema   int        `json:"schema"` // 1
	ID       string     `json:"id"`
	Seq      uint64     `json:"seq"`
	Lane     string     `json:"lane"`
	Topic    string     `json:"topic"`
	QoS      byte       `json:"qos"`
	Retain   bool       `json:"retain"`
	Text     *string    `json:"payload_text,omitempty"` // if it is UTF-8, else
	Bytes    []byte     `json:"payload_base64,omitempty"`
	Source   string     `json:"source"`
	Time     time.Time  `json:"time"`
	Trust    string     `json:"trust"`
	Boot     string     `json:"boot"`
	MonoMS   int64      `json:"mono_ms"`
	Expires  *time.Time `json:"expires"`
	Attempts uint32     `json:"attempts"`
	History  bool       `json:"history,omitempty"`
	Repeat   bool       `json:"repeat,omitempty"`
}

// MarshalJSON gives the message as one object with all its fields: payload_text if the payload is UTF-8, else
// payload_base64.
func (m Message) MarshalJSON() ([]byte, error) {
	j := messageJSON{
		Schema: 1, ID: m.ID.String(), Seq: m.Seq, Lane: m.Lane.String(), Topic: m.Topic, QoS: m.QoS, Retain: m.Retain,
		Source: m.Source, Time: m.Time, Trust: m.Trust.String(), Boot: hex.EncodeToString(m.Boot[:]), MonoMS: m.Mono.Milliseconds(),
		Attempts: m.Attempts, History: m.History, Repeat: m.Repeat,
	}
	if utf8.Valid(m.Payload) {
		text := string(m.Payload)
		j.Text = &text
	} else {
		j.Bytes = m.Payload
	}
	if !m.Expires.IsZero() {
		j.Expires = &m.Expires
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (m *Message) UnmarshalJSON(b []byte) error {
	var j messageJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("queue: message: %w", err)
	}
	if j.Schema != 1 {
		return fmt.Errorf("queue: message: schema is %d; this program reads 1", j.Schema)
	}
	got := Message{
		Seq: j.Seq, Topic: j.Topic, QoS: j.QoS, Retain: j.Retain, Payload: j.Bytes, Source: j.Source, Time: j.Time,
		Mono: time.Duration(j.MonoMS) * time.Millisecond, Attempts: j.Attempts, History: j.History, Repeat: j.Repeat,
	}
	var err error
	if got.ID, err = ParseID(j.ID); err != nil {
		return err
	}
	if got.Lane, err = ParseLane(j.Lane); err != nil {
		return err
	}
	if got.Trust, err = parseTrust(j.Trust); err != nil {
		return err
	}
	if n, err := hex.Decode(got.Boot[:], []byte(j.Boot[:min(len(j.Boot), 32)])); err != nil || n != len(got.Boot) || len(j.Boot) != 32 {
		return fmt.Errorf("queue: message: boot id %q is not of 32 hexadecimal digits", j.Boot)
	}
	if j.Text != nil {
		got.Payload = []byte(*j.Text)
	}
	if got.Payload == nil {
		got.Payload = []byte{}
	}
	if j.Expires != nil {
		got.Expires = *j.Expires
	}
	*m = got
	return nil
}

func parseTrust(s string) (Trust, error) {
	for t := TrustUnknown; t <= TrustKnown; t++ {
		if s == t.String() {
			return t, nil
		}
	}
	return 0, fmt.Errorf("queue: no trust is called %q; there are unknown, guessed and known", s)
}
