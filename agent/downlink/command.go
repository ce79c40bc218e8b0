package downlink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Command is what one message asks for.
type Command struct {
	Name    string          `json:"-"`       // the last level of its topic
	ID      string          `json:"id"`      // chosen by the sender, new for each command
	Sent    *Moment         `json:"sent"`    // when it was sent; nil: not told
	Expires *Moment         `json:"expires"` // from when on it must not be carried out; nil: never
	Args    json.RawMessage `json:"args"`    // the command's own; nil: none
}

// Moment is a point in time, written as RFC 3339 or as seconds since 1970.
type Moment struct{ time.Time }

// UnmarshalJSON reads both forms.
func (m *Moment) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return fmt.Errorf("%.40q is not a time such as \"2026-03-01T12:00:00Z\"", s)
		}
		m.Time = t
		return nil
	}
	var seconds int64
	if err := json.Unmarshal(text, &seconds); err != nil || seconds < 0 || seconds > maxSeconds {
		return fmt.Errorf("%.40s is not a time: write seconds since 1970, or \"2026-03-01T12:00:00Z\"", text)
	}
	m.Time = time.Unix(seconds, 0)
	return nil
}

// maxSeconds is the end of the year 9999: what comes later is milliseconds or nonsense.
const maxSeconds = 253402300799

// Bounds of what a sender chooses.
const (
	maxID   = 64
	maxName = 32
)

// Parse reads a command. With an error, the command has its name and id as far as they are usable, for the answer.
func Parse(name string, payload []byte) (Command, error) {
	if !validName(name) {
		return Command{}, fmt.Errorf("%.40q is not the name of a command: use a to z, 0 to 9, '-' and '_', at most %d", name, maxName)
	}
	c := Command{Name: name}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	err := dec.Decode(&c)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if idErr := checkID(c.ID); idErr != nil {
		c.ID = ""
		if err == nil {
			err = idErr
		}
	}
	if err != nil {
		return Command{Name: name, ID: c.ID}, fmt.Errorf("not a command: %s; write {\"id\": \"...\"} with sent, expires and args as needed", brief(err))
	}
	if bytes.Equal(c.Args, []byte("null")) {
		c.Args = nil
	}
	return c, nil
}

// brief keeps what a sender wrote from filling the answer.
func brief(err error) string {
	text := strings.TrimPrefix(strings.ToValidUTF8(err.Error(), "?"), "json: ")
	if len(text) > 160 {
		text = strings.ToValidUTF8(text[:160], "") + "…"
	}
	return text
}

func validName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("it has no id")
	case len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("an id has 1 to %d printable ASCII characters and no spaces", maxID)
	}
	return nil
}

// ahead is by how much a command may seem to come from the future: clocks differ.
const ahead = 10 * time.Minute

// stale says why the command must not be carried out any more, or "".
func (c *Command) stale(now time.Time, clockSet bool, maxAge time.Duration) string {
	if c.Sent == nil && c.Expires == nil {
		return ""
	}
	if !clockSet {
		return "this device's clock is not set, so whether the command is stale can't be told; leave out sent and expires to have it carried out all the same"
	}
	switch {
	case c.Expires != nil && !now.Before(c.Expires.Time):
		return fmt.Sprintf("it expired at %s; here it is %s", stamp(c.Expires.Time), stamp(now))
	case c.Sent != nil && now.Sub(c.Sent.Time) > maxAge:
		return fmt.Sprintf("it was sent at %s, longer than %v ago (downlink.max_age); here it is %s", stamp(c.Sent.Time), maxAge, stamp(now))
	case c.Sent != nil && c.Sent.Sub(now) > ahead:
		return fmt.Sprintf("it was sent at %s, but here it is %s: one of the two clocks is wrong", stamp(c.Sent.Time), stamp(now))
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Arguments reads args into v, which lists all that a command takes. No args leave v as it is.
func Arguments(args json.RawMessage, v any) error {
	if len(args) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(args))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return &Refusal{CodeInvalid, fmt.Errorf("args: %s", brief(err))}
	}
	return nil
}
