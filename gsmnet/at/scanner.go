package at

import (
	"bytes"
	"strconv"
	"strings"
)

// maxLine is the longest line that is kept. The longest honest reply is a few hundred bytes.
const maxLine = 2048

// maxCount is the most bytes that a header may announce: what the module's largest read returns, and one TCP segment.
const maxCount = 1500

// Kind says what a Token is.
type Kind uint8

const (
	// Line is one line without its end, spaces around it removed; never empty.
	Line Kind = iota + 1
	// Prompt is the ">" of AT+QISEND, which has no line end (G4.1, G4.3).
	Prompt
	// Data is a block of bytes whose number a header announced: +QIRD (G5.4) or IPD<len>: (G5.2).
	Data
	// Damage means that counted bytes did not end where their frame says: some were lost or doubled on the wire. Pushed bytes
	// have no frame: theirs comes behind the Data, when what follows it can't follow.
	Damage
	// Raw is a piece of the byte stream in data mode (G8.1).
	Raw
	// Whole means that as many bytes as a header has counted are here. Data follows when their frame has come too; when it stays away,
	// TakeWhole gives them.
	Whole
)

// Token is one thing that the module said. Data belongs to the receiver.
type Token struct {
	Kind Kind
	Text string // of a Line the text, of Data and Damage the header
	Data []byte // of Data and Raw
}

type scanState uint8

const (
	inLine scanState = iota
	wantLF           // a counted header has ended with CR, its LF comes next
	inData
	wantCR    // the counted bytes of +QIRD are followed by CR LF,
	wantEnd   // whose LF comes next,
	wantK     // or by OK at once: "O" has come,
	wantOKEnd // and "K"
	wantRawLF // the line that starts data mode has ended with CR, its LF comes next
	inRaw
	behindPushed // counted bytes without a frame have just ended
)

// Scanner turns bytes into tokens. The zero value is ready; it keeps at most maxLine and maxCount bytes.
type Scanner struct {
	state   scanState
	line    []byte
	tooLong bool // the line is over maxLine: drop until its end
	space   bool // one space after the prompt belongs to it
	header  string
	data    []byte
	left    int
	framed  bool
	rawOn   string // the line that starts data mode, "" when none does

	echo    []byte // what the module may echo after the prompt
	matched int
	behind  []byte // the same while a line is read that may be a URC before it
	again   bool   // it was one: the echo is expected behind its end

	frame  frameForm
	closed bool // CR LF has closed a block: whether it was its frame or the beginning of a URC shows the next line

	dropped uint64
}

// frameForm is how the module closes the counted bytes of +QIRD, as far as it has shown.
type frameForm uint8

const (
	unseen frameForm = iota
	crlf             // CR LF, and OK as a line of its own. Once seen, nothing else counts as a frame any more.
	glued            // OK at once
	none             // nothing (G5.4 as it is printed)
)

// Dropped counts lines that were over maxLine and thrown away.
func (s *Scanner) Dropped() uint64 { return s.dropped }

// ExpectEcho says that the payload may come back before the reply (QISDE, on by default). The next bytes are removed if they
// are exactly p; if they turn out not to be, they are scanned as usual. Unsolicited lines may come before it. The caller must not change
// p before the reply.
func (s *Scanner) ExpectEcho(p []byte) { s.echo, s.matched, s.behind = p, 0, nil }

// RawAfter makes the scanner hand on everything behind the given line as Raw: the module enters data mode with it (G8.1).
func (s *Scanner) RawAfter(line string) { s.rawOn = line }

// SetRaw enters or leaves data mode at once.
func (s *Scanner) SetRaw(on bool) {
	s.Reset()
	if on {
		s.state = inRaw
	}
}

// Reset forgets everything begun: half a line, counted data, an expected echo.
func (s *Scanner) Reset() {
	*s = Scanner{line: s.line[:0], rawOn: s.rawOn, frame: s.frame, dropped: s.dropped}
}

// Abandon gives up a block of counted bytes that has begun, and an expected echo. Half a line stays: its rest may still come. It
// reports whether bytes of a block are lost with it.
func (s *Scanner) Abandon() (lost bool) {
	lost = s.state == wantLF || s.state == inData || s.framing()
	if lost {
		s.Reset()
	}
	s.echo, s.behind = nil, nil
	return lost
}

// Scan consumes p and calls emit for each token that it completes.
func (s *Scanner) Scan(p []byte, emit func(Token)) {
	for len(p) > 0 {
		switch {
		case s.state == inRaw:
			emit(Token{Kind: Raw, Data: bytes.Clone(p)})
			return
		case s.state == inData:
			p = s.count(p, emit)
		case len(s.echo) > 0:
			s.match(p[0], emit)
			p = p[1:]
		default:
			s.step(p[0], emit)
			p = p[1:]
		}
	}
}

// match removes the payload's echo byte by byte, or gives the bytes back to the line when they turn out to differ.
func (s *Scanner) match(b byte, emit func(Token)) {
	if s.space && s.matched == 0 && b == ' ' {
		s.space = false
		return
	}
	s.space = false
	if b == s.echo[s.matched] {
		s.matched++
		if s.matched == len(s.echo) {
			s.echo = nil
		}
		return
	}
	back, expected := s.echo[:s.matched], s.echo
	s.echo = nil
	for _, c := range back {
		s.step(c, emit)
	}
	s.step(b, emit)
	s.behind = expected // unless what has begun turns out to be a reply's line
}

// step takes one byte outside counted data.
func (s *Scanner) step(b byte, emit func(Token)) {
	switch s.state {
	case wantLF:
		if s.due(b, '\n', emit) {
			s.state = inData
		}
	case wantCR, wantEnd, wantK, wantOKEnd:
		s.closeFrame(b, emit)
	case behindPushed:
		s.state = inLine
		if !followsPushed(b) {
			s.damage(emit)
		}
		s.inLine(b, emit)
	case wantRawLF:
		s.state = inRaw
		if b != '\n' {
			emit(Token{Kind: Raw, Data: []byte{b}})
		}
	default:
		s.inLine(b, emit)
	}
}

// due reports whether b is what the frame of counted bytes has at this place. Anything else is read as the beginning of a line.
func (s *Scanner) due(b, want byte, emit func(Token)) bool {
	if b == want {
		return true
	}
	s.damage(emit)
	s.step(b, emit)
	return false
}

func (s *Scanner) inLine(b byte, emit func(Token)) {
	if s.space {
		s.space = false
		if b == ' ' {
			return
		}
	}
	switch {
	case b == 0:
		// A parity error, a framing error or a break arrives as NUL; no reply contains one.
	case b == '\r' || b == '\n':
		s.endLine(b, emit)
		if b == '\n' && s.again {
			s.echo, s.matched, s.again = s.behind, 0, false
		}
	case b == '>' && len(s.line) == 0:
		s.space = true
		emit(Token{Kind: Prompt})
	case len(s.line) >= maxLine:
		s.tooLong = true
	default:
		s.line = append(s.line, b)
		if b == ':' && s.line[0] == 'I' {
			s.pushed()
		}
	}
}

func (s *Scanner) endLine(b byte, emit func(Token)) {
	text := string(bytes.TrimSpace(s.line))
	s.line = s.line[:0]
	if s.tooLong {
		s.tooLong = false
		s.dropped++
		return
	}
	if text == "" {
		return
	}
	if n, ok := countedRead(text); ok {
		s.begin(text, n, true)
		if b == '\r' {
			s.state = wantLF
		}
		return
	}
	if s.closed && text == "OK" {
		s.frame = crlf
	}
	s.closed = false
	emit(Token{Kind: Line, Text: text})
	if s.again = s.behind != nil && Unsolicited(text); !s.again {
		s.behind = nil
	}
	if text == s.rawOn {
		s.state, s.rawOn = inRaw, ""
		if b == '\r' {
			s.state = wantRawLF
		}
	}
}

// pushedHead begins the header of pushed data.
const pushedHead = "IPD"

// pushed recognises "IPD36:" and "IPD36TCP:", after which the data follows without a line end (G2.9, G2.11, G5.2).
func (s *Scanner) pushed() {
	text := string(s.line)
	digits, ok := strings.CutPrefix(strings.TrimSuffix(text, ":"), pushedHead)
	if !ok {
		return
	}
	digits = strings.TrimSuffix(strings.TrimSuffix(digits, "TCP"), "UDP")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || n > maxCount {
		return
	}
	s.line = s.line[:0]
	s.begin(text, int(n), false)
}

func (s *Scanner) begin(header string, n int, framed bool) {
	s.state, s.header, s.left, s.framed = inData, header, n, framed
	s.data = make([]byte, 0, n)
}

// count takes counted bytes as they are.
func (s *Scanner) count(p []byte, emit func(Token)) []byte {
	n := min(s.left, len(p))
	s.data = append(s.data, p[:n]...)
	s.left -= n
	if s.left > 0 {
		return nil
	}
	if s.framed {
		s.state = wantCR
		emit(Token{Kind: Whole, Text: s.header})
		return p[n:]
	}
	s.state = behindPushed // nothing closes a pushed block, but what may stand behind it is known
	emit(Token{Kind: Data, Text: s.header, Data: s.data})
	s.data = nil
	return p[n:]
}

// followsPushed says what may follow pushed data: a line with a CR before it, or the next block's header (G5.2) without one.
func followsPushed(b byte) bool { return b == '\r' || b == 'R' || b == 'I' }

func (s *Scanner) damage(emit func(Token)) {
	s.state, s.data = inLine, nil
	emit(Token{Kind: Damage, Text: s.header})
}

// countedRead reads the byte count from "+QIRD: 116.228.146.250:7070,TCP,36"; the space is optional (G5.4). Newer firmware gives the
// count alone.
func countedRead(text string) (int, bool) {
	rest, ok := strings.CutPrefix(text, "+QIRD:")
	if n := strings.Count(rest, ","); !ok || n != 2 && n != 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(rest[strings.LastIndexByte(rest, ',')+1:]), 10, 16)
	if err != nil || n == 0 || n > maxCount {
		return 0, false
	}
	return int(n), true
}
