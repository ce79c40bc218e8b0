package at

import (
	"bytes"
	"errors"
	"strings"
	"time"
)

// probes are questions that every module of the family answers with a line of its own, so that an OK that is late is never
// taken for their answer. Each round asks another one: the answer to the last one asked means that all before it are over.
// Each waits for its part, in thirtieths, of Config.HangTimeout.
var probes = []struct {
	line, answer string
	part         time.Duration
}{
	{"AT+CSQ", "+CSQ:", 1},
	{"AT+IPR?", "+IPR:", 2},
	{"AT+CGATT?", "+CGATT:", 4},
	{"AT+QIMUX?", "+QIMUX:", 8},
	{"AT+CMEE?", "+CMEE:", 15},
}

const (
	// A module that has restarted and finds its speed by itself hears nothing but "AT" alone (G9.1), and misses the first one or two.
	wakeTries = 3
	wakeEvery = 300 * time.Millisecond
)

// afterError is how long a probe is still waited for when an ERROR or a bare OK has come: it may have been a late one, or the probe's.
const afterError = time.Second

// Resync finds out whether the module listens, and waits until every older answer is over (G7.4, G9.2). polluted says that
// filler had to be fed to a module that waited for the rest of a payload: what it sends to the peer is no longer what the
// caller wrote. The error is ErrHung when no probe was answered.
func (d *Dialogue) Resync() (polluted bool, err error) {
	d.stats.Resyncs++
	d.mu.Lock()
	lost := d.scan.Abandon()
	d.mu.Unlock()
	if lost { // pushed data (G5.3) that didn't come to its end: it is lost, and whoever counts on it has to know
		d.handle(Token{Kind: Damage})
	}
	for i, p := range probes {
		if p.line == d.late || d.mute[p.line] {
			continue
		}
		if d.promised > 0 && i >= 1 {
			// The module did not answer although nothing else was under way: it takes the probes for payload. There is no
			// way out of a fixed-length send but to give it the bytes; ESC abandons the other form, and nothing was sent (G4.2).
			polluted = polluted || !d.freeForm
			if err := d.fill(); err != nil {
				return polluted, err
			}
		}
		begun := time.Now()
		if i >= 1 {
			if err := d.wake(); err != nil {
				return polluted, err
			}
		}
		wait := d.cfg.HangTimeout*p.part/30 - time.Since(begun)
		ok, err := d.probe(p.line, p.answer, max(wait, wakeEvery), &polluted)
		if err != nil {
			return polluted, err
		}
		if ok {
			d.dirty, d.promised, d.owed = false, 0, nil
			return polluted, nil
		}
	}
	return polluted, ErrHung
}

// doubt notes that a probe ended in an OK or ERROR without its line. The second time it is not asked any more, as long as another is left.
func (d *Dialogue) doubt(line string) {
	if d.doubted == nil {
		d.doubted, d.mute = make(map[string]bool), make(map[string]bool)
	}
	if d.doubted[line] && len(d.mute) < len(probes)-2 {
		d.mute[line] = true
	}
	d.doubted[line] = true
}

// wake says "AT" alone until that is answered, a few times. The answer may be a late one to something else: the probe behind it decides.
func (d *Dialogue) wake() error {
	for range wakeTries {
		answer, err := d.knock("AT", wakeEvery)
		if err != nil || answer != "" {
			return err
		}
	}
	return nil
}

// probe asks once. The CR ahead ends whatever half a line the module may have.
func (d *Dialogue) probe(line, answer string, wait time.Duration, polluted *bool) (bool, error) {
	c := Command{Line: line}
	d.pending = &c
	defer func() { d.pending = nil }()
	if err := d.put([]byte("\r" + line + "\r")); err != nil {
		return false, err
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	seen, bare := false, false
	for {
		t, err := d.next(limit.C, nil)
		if errors.Is(err, ErrTimeout) {
			if bare { // the OK was a late one, or this module doesn't answer the question
				d.doubt(line)
			}
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch {
		case t.Kind == Prompt:
			// The prompt of the send that was given up, late: its bytes must follow. The probe may stand before them.
			*polluted = true
			if err := d.deliver(); err != nil {
				return false, err
			}
		case t.Kind != Line:
			d.handle(t)
		case d.isEcho(t.Text, line):
		case strings.HasPrefix(t.Text, answer):
			seen = true
		case seen && t.Text == "OK":
			return true, nil
		case d.promised > 0 && strings.HasPrefix(t.Text, "SEND "):
			// The probe may have been what completed the payload.
			*polluted = true
		case Final(t.Text) == Failed, t.Text == "OK":
			d.stats.Strays++
			bare = true
			limit.Reset(min(wait, afterError))
		default:
			d.handle(t)
		}
	}
}

// deliver gives the module the payload that it was promised, so that the peer gets what was meant and not filler in its place.
func (d *Dialogue) deliver() error {
	if d.owed == nil || d.freeForm {
		return d.fill()
	}
	p := d.owed
	d.promised, d.owed = 0, nil
	return d.put(p)
}

// fill feeds the module what it may still wait for. CR is an empty command to a module that waits for none.
func (d *Dialogue) fill() error {
	n := d.promised
	if n <= 1 {
		n = maxPayload
	}
	d.promised, d.owed = 0, nil
	filler := bytes.Repeat([]byte{'\r'}, n)
	if d.freeForm { // ended by no count (G4.1): ESC abandons it (G4.2)
		filler = []byte{escape}
	}
	return d.put(filler)
}

// escape abandons AT+QISEND without a length (G4.2).
const escape = 0x1B

// maxPayload is the most that one AT+QISEND takes (G4.1).
const maxPayload = 1460
