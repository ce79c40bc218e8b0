package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/fieldpost/fieldpost/queue"
)

// Sink stores readings. Accept stores all of the messages or none; it returns
// the sequence of the first when they are safe, and an error when they are not
// or when that isn't known before ctx ends.
type Sink interface {
	Accept(ctx context.Context, msgs ...queue.Message) (first uint64, err error)
}

// acceptTimeout bounds a commit. MQTT clients give up on the answer to a ping
// after about this time, and a ping is not answered during a commit.
const acceptTimeout = 10 * time.Second

// drainTimeout is how long commits may go on when the source is told to stop.
// The agent as a whole stops within ten seconds.
const drainTimeout = 3 * time.Second

// Reason is why a reading was not accepted, as far as its sender is concerned.
type Reason uint8

const (
	Temporary Reason = iota // trying again later may help
	Invalid                 // the reading breaks a rule and always will
	TooLarge                // likewise: the payload is above the limit
	Full                    // there is no room; trying again helps when there is
)

// Refusal is an error with its reason.
type Refusal struct {
	Reason Reason
	Err    error
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, format string, args ...any) error {
	return &Refusal{reason, fmt.Errorf("source: "+format, args...)}
}

// ReasonOf says what an error of Check or of a Sink means to the sender.
func ReasonOf(err error) Reason {
	var refusal *Refusal
	var tooLarge *queue.TooLargeError
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.As(err, &tooLarge):
		return TooLarge
	case errors.Is(err, queue.ErrInvalid):
		return Invalid
	case errors.Is(err, queue.ErrFull), errors.Is(err, queue.ErrDiskFull):
		return Full
	}
	return Temporary
}

// Limits bounds what is accepted.
type Limits struct {
	MaxPayload int // in bytes; 0 means DefaultMaxPayload
}

// DefaultMaxPayload is half a minute of a GPRS uplink.
const DefaultMaxPayload = 64 << 10

func (l Limits) maxPayload() int {
	if l.MaxPayload == 0 {
		return DefaultMaxPayload
	}
	return l.MaxPayload
}

// Check returns a [*Refusal] for a message that a broker would not take, or
// that is above the limits.
func (l Limits) Check(m queue.Message) error {
	if err := queue.ValidateTopic(m.Topic); err != nil {
		return &Refusal{Invalid, err}
	}
	if strings.HasPrefix(m.Topic, "$") {
		return refuse(Invalid, "topic %.80q begins with $, which is reserved for brokers", m.Topic)
	}
	// A broker may close the connection over these (MQTT 3.1.1, 1.5.3), and
	// would do so again at each delivery.
	if i := strings.IndexFunc(m.Topic, isUnfit); i >= 0 {
		return refuse(Invalid, "topic %.80q holds a control character or a code point that is no character (byte %d)", m.Topic, i)
	}
	if m.QoS > 2 {
		return refuse(Invalid, "QoS is %d; it can be 0, 1 or 2", m.QoS)
	}
	if got, most := len(m.Payload), l.maxPayload(); got > most {
		return refuse(TooLarge, "the payload has %d bytes; at most %d are taken (limits.max_payload)", got, most)
	}
	return nil
}

func isUnfit(r rune) bool {
	return unicode.IsControl(r) || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef
}
