package gsmnet

import "strings"

// mask takes secrets out of one direction of a dialogue, however its bytes are cut. What stands for a PIN or a password in a command
// says nothing about it, not even its length, and is one that the driver would take, so that a masked dialogue can be played. Other
// secrets become as many x.
type mask struct {
	literals []literal

	line  []byte // the end of the line so far, upper case
	rule  *secretArgs
	arg   int  // of rule, where we are
	quote bool // inside quotes
	shown bool // the stand-in of this argument is written
}

// secretArgs says which arguments of a command, or of the line that answers it, are secret.
type secretArgs struct {
	verb  string // the line so far ends with it
	from  int    // the first secret argument
	digit bool   // a PIN
}

var secretVerbs = []secretArgs{
	{"+CPIN=", 0, true}, {"+CPIN2=", 0, true}, {"+CPWD=", 1, true}, {"+CLCK=", 2, true},
	{"+QICSGP=", 3, false}, {"+QICSGP:", 3, false}, {"+QIREGAPP=", 2, false}, {"+QIREGAPP:", 2, false},
}

// The stand-ins: a PIN and a password of fixed length.
const (
	maskedPIN      = "0000"
	maskedPassword = "xxxxxxxx"
)

// lineEnd is how much of a line is kept to find a command in: more than the longest verb with spaces in it.
const lineEnd = 32

func newMask(texts []string) mask {
	var m mask
	for _, s := range texts {
		if s != "" {
			m.literals = append(m.literals, newLiteral(s))
		}
	}
	return m
}

// apply returns what may be shown of p.
func (m *mask) apply(p []byte) []byte {
	hidden := make([]bool, len(p))
	for i := range m.literals {
		m.literals[i].find(p, hidden)
	}
	out := make([]byte, 0, len(p))
	for i, c := range p {
		switch {
		case m.rule == nil && hidden[i]:
			out = append(out, 'x')
		default:
			n := len(out)
			out = m.next(out, c)
			if hidden[i] && len(out) == n+1 { // shown as it is, among the arguments that are no secret
				out[n] = 'x'
			}
		}
	}
	return out
}

// next takes one byte of a command line.
func (m *mask) next(out []byte, c byte) []byte {
	if c == '\r' || c == '\n' {
		m.line, m.rule = m.line[:0], nil
		return append(out, c)
	}
	if m.rule == nil {
		m.find(c)
		return append(out, c)
	}
	switch {
	case c == '"':
		m.quote = !m.quote
		return append(out, c)
	case m.quote:
	case c == ',':
		m.arg, m.shown = m.arg+1, false
		return append(out, c)
	case c == ';', c == '?' && m.arg == 0: // the next command, or AT+CPIN=?
		m.rule = nil
		return append(out, c)
	case c == ' ':
		return append(out, c)
	}
	switch {
	case m.arg < m.rule.from:
		return append(out, c)
	case m.shown:
		return out
	case m.rule.digit:
		out = append(out, maskedPIN...)
	default:
		out = append(out, maskedPassword...)
	}
	m.shown = true
	return out
}

// find looks whether a command with secrets begins behind c.
func (m *mask) find(c byte) {
	if c == ' ' {
		return
	}
	m.line = append(m.line, upper(c))
	if len(m.line) > lineEnd {
		m.line = append(m.line[:0], m.line[len(m.line)-lineEnd/2:]...)
	}
	for i := range secretVerbs {
		if strings.HasSuffix(string(m.line), secretVerbs[i].verb) {
			m.rule, m.arg, m.quote, m.shown = &secretVerbs[i], 0, false, false
		}
	}
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// literal finds a text in a stream (Knuth, Morris, Pratt).
type literal struct {
	text []byte
	back []int // for each length of a match, the longest shorter one that it ends with
	n    int   // so much of it stands at the end of what was seen
}

func newLiteral(s string) literal {
	l := literal{text: []byte(s), back: make([]int, len(s)+1)}
	for i, k := 1, 0; i < len(s); i++ {
		for k > 0 && s[i] != s[k] {
			k = l.back[k]
		}
		if s[i] == s[k] {
			k++
		}
		l.back[i+1] = k
	}
	return l
}

// find marks in hidden what of p belongs to the text. The beginning of the text at the end of p is marked too, since the rest may
// come with the next piece.
func (l *literal) find(p []byte, hidden []bool) {
	for i, c := range p {
		for l.n > 0 && (l.n == len(l.text) || l.text[l.n] != c) {
			l.n = l.back[l.n]
		}
		if l.text[l.n] == c {
			l.n++
		}
		if l.n == len(l.text) {
			l.mark(hidden, i+1)
		}
	}
	l.mark(hidden, len(p))
}

// mark hides the match that ends before end.
func (l *literal) mark(hidden []bool, end int) {
	for i := max(0, end-l.n); i < end; i++ {
		hidden[i] = true
	}
}
