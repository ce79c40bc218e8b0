package at

import (
	"strings"
	"time"
)

// Verdict is what a command makes of a line.
type Verdict uint8

const (
	// Foreign lines don't belong to the command: a URC, or a stray.
	Foreign Verdict = iota
	// Info lines are part of the reply.
	Info
	// More lines belong to the reply but say nothing: an OK that comes first.
	More
	// Done ends the command well.
	Done
	// Failed ends the command with a refusal.
	Failed
	// Told lines are part of the reply, and what it has to say: should its OK stay away, the command ends well without it. What ends
	// so is followed by Resync.
	Told
	// Bare lines end the command only when nothing better comes within a moment: an OK without the information that was asked
	// for is the answer of a module that doesn't know, or a late one to something else. What ends so is followed by Resync.
	Bare
)

// Command is one question to the module.
type Command struct {
	Line   string                    // without its CR: "AT+QISACK"
	Accept func(line string) Verdict // what belongs to the reply; nil: Final alone

	// Timeout is how long to wait for the reply: from the end of writing the line, and again from the end of writing the payload.
	Timeout time.Duration

	// Payload is written as soon as the module shows its prompt, all of it, whatever else happens (G4.1, G4.3).
	Payload []byte
	// FreeForm says that the payload ends with its own Ctrl-Z and not by count (G4.1).
	FreeForm bool
	// Prompt is how long to wait for the prompt; 0: Timeout.
	Prompt time.Duration
	// MayEcho says that the module may send the payload back before the reply (QISDE).
	MayEcho bool

	// Blind sends the command also while an answer to an earlier one may still come: it ends whatever the module is at.
	Blind bool

	// Counted says that blocks of counted bytes belong to the reply.
	Counted bool

	// Trailing are lines that may still follow the last one of the reply, within a moment. They are waited for and removed, but for
	// those that came before it as More or Bare.
	Trailing []string
}

// Reply is what a command got.
type Reply struct {
	Lines []string // its Info lines
	Data  [][]byte // its counted blocks
	Head  string   // the header of the last of them
	Final string   // the line that ended it

	// Prompted says that the module has shown its prompt: the payload was written.
	Prompted bool

	early []string // lines that were More or Bare

	// Strays is how many lines came meanwhile that are neither part of the reply nor a known URC. In a reply with counted data
	// they are probably what a damaged header has left unrecognised.
	Strays uint64
}

// Final is the Accept of a command that has no information lines.
func Final(line string) Verdict {
	switch {
	case line == "OK":
		return Done
	case line == "ERROR", strings.HasPrefix(line, "+CME ERROR:"), strings.HasPrefix(line, "+CMS ERROR:"):
		return Failed
	}
	return Foreign
}

// Prefixed accepts information lines with the given beginning, as Told. An OK before the first of them is Bare: the Reply of a command
// that ends with it has no Lines.
func Prefixed(prefix string) func(string) Verdict {
	return Informed(func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// Informed is Prefixed for lines that are known by something else than their beginning.
func Informed(info func(line string) bool) func(string) Verdict {
	seen := false
	return func(line string) Verdict {
		if info(line) {
			seen = true
			return Told
		}
		v := Final(line)
		if v == Done && !seen {
			return Bare
		}
		return v
	}
}

// Any accepts as information every line that is no URC.
func Any(line string) Verdict {
	if v := Final(line); v != Foreign {
		return v
	}
	if Unsolicited(line) {
		return Foreign
	}
	return Info
}

// verb is the command without its arguments, which must not reach an error text: PIN and passwords are among them.
func verb(line string) string {
	if i := strings.IndexAny(line, "=?"); i >= 0 {
		return line[:i]
	}
	return line
}
