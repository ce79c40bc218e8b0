package envelope

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// Line is a reading in the form of "fieldpost decode": one JSON object a line.
type Line struct {
	Schema  int       `json:"schema"` // 1
	ID      string    `json:"id"`     // epoch in hexadecimal digits, a dash, sequence
	Device  string    `json:"device"`
	Seq     uint64    `json:"seq"`
	Topic   *string   `json:"topic"` // null where it isn't in the message and wasn't given
	Time    time.Time `json:"time"`
	Quality string    `json:"time_quality"`
	Text    *string   `json:"payload_text,omitempty"` // if it is UTF-8, else
	Bytes   []byte    `json:"payload_base64,omitempty"`
}

// Lines returns the readings as lines. topic is the one of the MQTT message, which a single reading belongs to; "": it
// isn't known.
func (m *Message) Lines(topic string) []Line {
	lines := make([]Line, len(m.Readings))
	for i, r := range m.Readings {
		l := Line{Schema: 1, ID: fmt.Sprintf("%x-%d", m.Epoch, r.Seq), Device: m.Device, Seq: r.Seq, Time: r.Time, Quality: r.Quality.String()}
		if at := r.Topic; m.Batch {
			l.Topic = &at
		} else if topic != "" {
			l.Topic = &topic
		}
		if utf8.Valid(r.Payload) {
			text := string(r.Payload)
			l.Text = &text
		} else {
			l.Bytes = r.Payload
		}
		lines[i] = l
	}
	return lines
}
