package gsmsim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// command is one AT command of a line.
type command struct {
	name string   // upper case, with its sign: "+QIOPEN", "E", "&W"
	op   byte     // 0 plain, '=' set, '?' read, 't' test
	args []string // of '=', without their quotes; of a basic command its number
	text string   // what follows the '='
}

// key is the name with the operator behind it, a space for none.
func (c command) key() string { return c.name + string(rune(max(c.op, ' '))) }

// arg returns the i-th argument, "" if there is none.
func (c command) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// quoted tells whether the i-th argument was in quotes.
func (c command) quoted(i int) bool {
	parts := splitOutsideQuotes(c.text, ',')
	return i < len(parts) && strings.HasPrefix(strings.TrimSpace(parts[i]), `"`)
}

// result is how a command ended.
type result struct {
	kind resultKind
	text string // of own: the final line
	code int    // of cme
}

type resultKind uint8

const (
	ok      resultKind = iota
	failed             // ERROR
	cme                // +CME ERROR: code
	own                // a final line of the command's own, or none at all
	running            // finish will be called later
	unknown            // no such command
)

var (
	resOK      = result{kind: ok}
	resError   = result{kind: failed}
	resRunning = result{kind: running}
	resSilent  = result{kind: own}
)

func resCME(code int) result      { return result{kind: cme, code: code} }
func resFinal(text string) result { return result{kind: own, text: text} }

// Codes of 3GPP TS 27.007, 9.2.
const (
	cmeNotAllowed    = 3
	cmeNotSupported  = 4
	cmeNoSIM         = 10
	cmePINRequired   = 11
	cmePUKRequired   = 12
	cmeSIMBusy       = 14
	cmeWrongPassword = 16
	cmeBadParameters = 53
)

var cmeTexts = map[int]string{
	cmeNotAllowed:    "operation not allowed",
	cmeNotSupported:  "operation not supported",
	cmeNoSIM:         "SIM not inserted",
	cmePINRequired:   "SIM PIN required",
	cmePUKRequired:   "SIM PUK required",
	cmeSIMBusy:       "SIM busy",
	cmeWrongPassword: "incorrect password",
	cmeBadParameters: "invalid parameters",
}

// run is the command line that the module works on.
type run struct {
	busy    bool
	id      uint64    // changes with each line, so that late ends of a lost one are known
	rest    []command // still to do
	frames  [][]byte  // of the reply so far
	after   []func()  // to do behind the final OK
	held    [][]byte  // URCs to be put into the reply
	overlap bool      // counted already
}

// noteOverlap reports whether b begins a new line although the last one is unanswered.
func (r *run) noteOverlap(b []byte) bool {
	if r.overlap || len(strings.TrimSpace(string(b))) == 0 {
		return false
	}
	r.overlap = true
	return true
}

// execute starts a command line.
func (m *Module) execute(line string, tooLong bool) {
	text := strings.TrimSpace(line)
	if text == "" {
		return
	}
	i := strings.Index(upperASCII(text), "AT")
	u := &m.uart
	u.run = run{busy: true, id: u.run.id + 1}
	delay := m.cfg.Timing.Answer
	if i < 0 || tooLong {
		m.after(delay, func() { m.finish(u.run.id, resError) })
		return
	}
	commands := parseLine(text[i+2:])
	if len(commands) > 0 && commands[0].name == "+QISEND" {
		delay = m.cfg.Timing.Prompt
	}
	u.run.rest = commands
	id := u.run.id
	m.after(delay, func() { m.step(id) })
}

// step does the commands of the line up to one that takes time.
func (m *Module) step(id uint64) {
	r := &m.uart.run
	if r.id != id || !r.busy {
		return
	}
	for len(r.rest) > 0 {
		c := r.rest[0]
		r.rest = r.rest[1:]
		m.stats.Commands++
		res := m.dispatch(c)
		if r.id != id {
			return // the command was a reset
		}
		if res.kind == running {
			return
		}
		if res.kind != ok {
			m.finish(id, res)
			return
		}
	}
	m.finish(id, resOK)
}

// finishIn ends the running command in d with what f returns, unless the module was reset meanwhile.
func (m *Module) finishIn(d time.Duration, f func() result) result {
	id := m.uart.run.id
	m.after(d, func() {
		if m.uart.run.id == id && m.uart.run.busy {
			m.finish(id, f())
		}
	})
	return resRunning
}

// then has f done behind the final OK of the line.
func (m *Module) then(f func()) { m.uart.run.after = append(m.uart.run.after, f) }

// finish ends the running command; the line goes on after a good one, and ends at any other.
func (m *Module) finish(id uint64, res result) {
	r := &m.uart.run
	if r.id != id || !r.busy {
		return
	}
	if res.kind == ok && len(r.rest) > 0 {
		m.step(id)
		return
	}
	switch res.kind {
	case ok:
		m.final("OK", "0")
	case failed, unknown:
		m.final("ERROR", "4")
	case cme:
		m.final(m.cmeText(res.code), "4")
	case own:
		if res.text != "" {
			m.final(res.text, connectCode(res.text))
		}
	}
	m.flush()
	after := r.after
	r.busy, r.after = false, nil
	for _, f := range after {
		f()
	}
	if !r.busy {
		m.uart.resume()
	}
}

func (m *Module) cmeText(code int) string {
	switch m.uart.cmee {
	case 1:
		return fmt.Sprintf("+CME ERROR: %d", code)
	case 2:
		return "+CME ERROR: " + cmeTexts[code]
	}
	return "ERROR"
}

// connectCode is the ATV0 form of a final text, "" if it has none.
func connectCode(text string) string {
	switch text {
	case "CONNECT":
		return "1"
	case "NO CARRIER":
		return "3"
	case "CONNECT OK":
		return "8"
	}
	return ""
}

// info adds a line of information to the reply.
func (m *Module) info(format string, args ...any) {
	text := m.spaced(fmt.Sprintf(format, args...))
	lead := "\r\n"
	switch n := m.cfg.Model.LeadingBlank; {
	case n < 0:
		lead = ""
	case n > 0:
		lead = strings.Repeat("\r\n", n+1)
	}
	if !m.uart.verbose {
		lead = ""
	}
	m.reply([]byte(lead + text + "\r\n"))
}

// final adds a result to the reply: the text, or with ATV0 its number.
func (m *Module) final(text, number string) {
	if !m.uart.verbose && number != "" {
		m.reply([]byte(number + "\r"))
		return
	}
	m.reply([]byte("\r\n" + text + "\r\n"))
}

// reply adds one unbreakable piece to the reply.
func (m *Module) reply(frame []byte) {
	m.uart.run.frames = append(m.uart.run.frames, frame)
}

// flush sends the reply, with the URCs that Faults.URCInReply has held back behind its first piece.
func (m *Module) flush() {
	r := &m.uart.run
	frames := r.frames
	if len(r.held) > 0 {
		frames = slices.Insert(frames, min(1, len(frames)), r.held...)
	}
	for _, f := range frames {
		m.raw(f)
	}
	r.frames, r.held = nil, nil
}

// announce sends a result that belongs to no reply, such as CONNECT OK.
func (m *Module) announce(text string) {
	if !m.uart.verbose {
		if n := connectCode(text); n != "" {
			m.raw([]byte(n + "\r"))
			return
		}
	}
	m.raw([]byte("\r\n" + text + "\r\n"))
}

// spaced applies the firmware's habits of spacing to a line of information or a URC.
func (m *Module) spaced(text string) string {
	if !strings.HasPrefix(text, "+") || strings.Contains(text, `"`) {
		return text
	}
	switch m.cfg.Model.Spacing {
	case "tight":
		text = strings.Replace(text, ": ", ":", 1)
		return strings.ReplaceAll(text, ", ", ",")
	case "loose":
		if strings.HasPrefix(text, "+QIRD:") {
			return text
		}
		return strings.ReplaceAll(strings.ReplaceAll(text, ", ", ","), ",", ", ")
	}
	return text
}

// upperASCII has the length of s, unlike strings.ToUpper, so that a place in one is the same place in the other.
func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// parseLine splits what follows "AT" into commands.
func parseLine(s string) []command {
	var list []command
	for {
		s = strings.TrimLeft(s, " ;")
		if s == "" {
			return list
		}
		if s[0] != '+' {
			var c command
			c, s = parseBasic(s)
			list = append(list, c)
			continue
		}
		end := endOfExtended(s)
		list = append(list, parseExtended(s[:end]))
		s = s[end:]
	}
}

// parseBasic takes a command such as E0, &W or D from the start of s.
func parseBasic(s string) (command, string) {
	n := 1
	if (s[0] == '&' || s[0] == '\\') && len(s) > 1 {
		n = 2
	}
	c := command{name: strings.ToUpper(s[:n])}
	s = s[n:]
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		c.args = []string{s[:digits]}
	}
	return c, s[digits:]
}

// endOfExtended finds the semicolon, or the & of a basic command as in AT+IPR=115200&W.
func endOfExtended(s string) int {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ';', '&':
			if !quoted {
				return i
			}
		}
	}
	return len(s)
}

func parseExtended(s string) command {
	i := strings.IndexAny(s, "=?")
	if i < 0 {
		return command{name: strings.ToUpper(strings.TrimSpace(s))}
	}
	c := command{name: strings.ToUpper(strings.TrimSpace(s[:i])), op: s[i], text: s[i+1:]}
	if c.op == '?' {
		return c
	}
	if strings.TrimSpace(c.text) == "?" {
		c.op, c.text = 't', ""
		return c
	}
	for _, part := range splitOutsideQuotes(c.text, ',') {
		c.args = append(c.args, strings.Trim(strings.TrimSpace(part), `"`))
	}
	return c
}

func splitOutsideQuotes(s string, sep byte) []string {
	var parts []string
	quoted, start := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
