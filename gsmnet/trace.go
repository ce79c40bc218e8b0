package gsmnet

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// Transcript writes a serial dialogue down as text, in the form that the tests of this package play:
//
//	# 2026-03-01T12:00:00Z what happened      once a minute at most, and by Note
//	-> "AT\r"                                 to the module
//	@ 480ms                                   so much later
//	<- "\r\nOK\r\n"                           from the module
//
// PINs and passwords in AT commands are masked in both directions, since the module may echo, and so are the given secrets
// wherever they stand. Its Trace fits Config.Trace. It is safe for concurrent use.
type Transcript struct {
	mu      sync.Mutex
	w       io.Writer
	out, in mask
	last    time.Time // up to where the silences are written
	noted   time.Time // of the last time of day
	err     error     // why nothing is written any more
}

const (
	traceUnit = time.Millisecond // of the silences; what is left of one counts for the next
	traceNote = time.Minute
)

// NewTranscript starts a transcript. secrets are what else must not be shown: the password that an MQTT CONNECT carries.
func NewTranscript(w io.Writer, secrets ...string) *Transcript {
	return &Transcript{w: w, out: newMask(secrets), in: newMask(secrets)}
}

// Trace notes bytes that went out to the module, or came in. A transcript that can't be written ends, and nothing else does.
func (t *Transcript) Trace(out bool, p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.Sub(t.noted) >= traceNote {
		t.note(now, "")
	}
	arrow, m := "<-", &t.in
	if out {
		arrow, m = "->", &t.out
	}
	text := m.apply(p)
	if len(text) == 0 {
		return // all of it is behind a mask
	}
	gap := now.Sub(t.last).Truncate(traceUnit)
	switch {
	case out || t.last.IsZero():
		t.last = now // a silence before our own bytes is ours: in a replay the driver makes it by itself
	case gap > 0:
		t.last = t.last.Add(gap)
		t.print("@ %v\n", gap)
	}
	t.print("%s %s\n", arrow, strconv.Quote(string(text)))
}

// Note adds a remark for the reader.
func (t *Transcript) Note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(time.Now(), " "+text)
}

// Err says why the transcript ended early, nil while it goes on.
func (t *Transcript) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *Transcript) note(now time.Time, text string) {
	t.noted = now
	t.print("# %s%s\n", now.UTC().Format(time.RFC3339), text)
}

func (t *Transcript) print(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}
