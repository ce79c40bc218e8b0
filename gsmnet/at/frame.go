package at

import "bytes"

// framing reports whether all counted bytes are here and their frame is not.
func (s *Scanner) framing() bool {
	return s.state == wantCR || s.state == wantEnd || s.state == wantK || s.state == wantOKEnd
}

// closeFrame takes what stands behind the counted bytes of +QIRD: CR LF, of a module that prints lines without the CR LF ahead the OK.
// Anything else means that bytes were lost or doubled.
func (s *Scanner) closeFrame(b byte, emit func(Token)) {
	switch {
	case s.state == wantCR && b == '\r':
		s.state = wantEnd
	case s.state == wantEnd && b == '\n':
		s.whole(emit)
		s.closed = true
	case s.state == wantCR && b == 'O' && s.mayBeGlued():
		s.state = wantK
	case s.state == wantK && b == 'K':
		s.state = wantOKEnd
	case s.state == wantOKEnd && b == '\r':
		s.frame = glued
		s.whole(emit)
		s.replay(emit, "OK\r")
	default:
		begun := map[scanState]string{wantK: "O", wantOKEnd: "OK"}[s.state]
		s.damage(emit)
		s.replay(emit, begun+string(b))
	}
}

// replay scans what was held back.
func (s *Scanner) replay(emit func(Token), text string) {
	for i := range len(text) {
		s.step(text[i], emit)
	}
}

// mayBeGlued: of a block with a frame that has lost two bytes the frame's CR LF are the last ones, and OK follows.
func (s *Scanner) mayBeGlued() bool {
	return s.frame == glued || s.frame != crlf && !bytes.HasSuffix(s.data, []byte("\r\n"))
}

func (s *Scanner) whole(emit func(Token)) {
	s.state = inLine
	emit(Token{Kind: Data, Text: s.header, Data: s.data})
	s.data = nil
}

// TakeWhole gives the counted bytes that are all here although no frame has closed them: the module prints none (G5.4). It gives
// none when it has printed one before, or when the bytes end like one, of which as many were lost.
func (s *Scanner) TakeWhole() (t Token, ok bool) {
	if s.state != wantCR || s.frame == crlf || s.frame != none && bytes.HasSuffix(s.data, []byte("OK\r\n")) {
		return Token{}, false
	}
	s.frame = none
	s.whole(func(w Token) { t = w })
	return t, true
}
