package at

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrTimeout means that the reply did not come in time: a *TimeoutError is one. Nothing may be sent until Resync has succeeded.
	ErrTimeout = errors.New("at: the module gave no answer in time")
	// ErrRestarted means that the module has started anew or is switching off while a command was under way.
	ErrRestarted = errors.New("at: the module restarted or switched off before it answered")
	// ErrDamaged means that a counted block was cut or stretched on the wire.
	ErrDamaged = errors.New("at: bytes were lost or doubled on the serial line")
	// ErrStuck means that the port took no bytes for Config.WriteTimeout.
	ErrStuck = errors.New("at: the serial port takes no bytes: the module is off, or holds its flow control line")
	// ErrClosed means that Stop was called.
	ErrClosed = errors.New("at: dialogue stopped")
	// ErrHung means that no probe was answered: the module is off, has another baud rate, or hangs.
	ErrHung = errors.New("at: the module answers no probe")
)

// TimeoutError tells which command was not answered in time, and what came instead.
type TimeoutError struct {
	Verb string // "AT+QIACT"
	Wait time.Duration
	Came []string // the first lines that came meanwhile, shortened to what tells nothing private
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("at: the module gave no answer to %s within %v", e.Verb, e.Wait)
	if len(e.Came) > 0 {
		text += "; what came instead: " + strings.Join(e.Came, ", ")
	}
	return text
}

func (e *TimeoutError) Unwrap() error { return ErrTimeout }

// shown makes of a line what may stand in an error text: a number or the text of a message may be somebody's.
func shown(line string) string {
	if head, _, ok := strings.Cut(line, ":"); ok && len(head) <= 12 && strings.HasPrefix(head, "+") {
		return strconv.Quote(head + ": …")
	}
	if len(line) <= 24 && !strings.ContainsAny(line, "0123456789") {
		return strconv.Quote(line)
	}
	return fmt.Sprintf("a line of %d characters", len(line))
}

// Error is a refusal by the module. It names the command without its arguments.
type Error struct {
	Verb   string // "AT+QIOPEN"
	Result string // "ERROR", "+CME ERROR: 10", "CONNECT FAIL"
	Code   int    // of a +CME or +CMS ERROR with a number, else -1
}

func (e *Error) Error() string { return fmt.Sprintf("at: %s answered %q", e.Verb, e.Result) }

func refusal(line, result string) *Error {
	e := &Error{Verb: verb(line), Result: result, Code: -1}
	if _, number, ok := strings.Cut(result, "ERROR:"); ok {
		if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil {
			e.Code = n
		}
	}
	return e
}

// PortError means that the port itself has failed; it stays failed.
type PortError struct{ Err error }

func (e *PortError) Error() string { return "at: serial port: " + e.Err.Error() }

func (e *PortError) Unwrap() error { return e.Err }
