package control

import "errors"

var (
	// ErrNotRunning says that no agent listens on the socket.
	ErrNotRunning = errors.New("control: the agent is not running")
	// ErrUnreachable says that the agent on the socket can't be asked: the socket is another user's, or no answer came in time.
	ErrUnreachable = errors.New("control: the agent can't be reached")
	// ErrRunning says that another agent listens on the socket.
	ErrRunning = errors.New("control: another agent is running")
)

// Code tells the failures apart on which a caller may branch.
type Code string

// The codes and the HTTP statuses that carry them.
const (
	CodeInvalid   Code = "invalid"   // 400, the request is wrong and stays wrong
	CodeTooLarge  Code = "too_large" // 413, the payload is over the limit
	CodeFull      Code = "full"      // 507, the queue or the disk is full
	CodeNotFound  Code = "not_found" // 404, there is no such message
	CodeDamaged   Code = "damaged"   // 500, the message can't be read
	CodeNoModem   Code = "no_modem"  // 404, the agent's link has no module
	CodeRefused   Code = "refused"   // 502, the module refuses
	CodeTemporary Code = "temporary" // 503, the agent is stopping or can't store now
)

// Error is a failure that the agent answered with.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"` // for a person
}

func (e *Error) Error() string { return e.Message }

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool { return e.Code == CodeFull || e.Code == CodeTemporary }
