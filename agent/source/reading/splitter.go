package reading

import (
	"bytes"
	"fmt"
)

// A Splitter finds the lines in a stream of bytes. A line ends with \n, \r or
// both; empty ones don't count.
type Splitter struct {
	Max  int // longest line, in bytes
	rest []byte
	skip bool // the line was too long, what is left of it is dropped
}

// Push takes the next bytes and calls line for each line that is whole, without
// its end. The line is valid until line returns. A line that is too long is
// dropped and tooLong is called for it.
func (s *Splitter) Push(b []byte, line func([]byte), tooLong func(error)) {
	for len(b) > 0 {
		end := bytes.IndexAny(b, "\r\n")
		part := b
		if end >= 0 {
			part = b[:end]
		}
		if !s.skip && len(s.rest)+len(part) > s.Max {
			s.rest, s.skip = s.rest[:0], true
			tooLong(fmt.Errorf("reading: a line has more than %d bytes", s.Max))
		}
		if !s.skip {
			s.rest = append(s.rest, part...)
		}
		if end < 0 {
			return
		}
		if !s.skip && len(s.rest) > 0 {
			line(s.rest)
		}
		s.rest, s.skip = s.rest[:0], false
		b = b[end+1:]
	}
}

// End is called at the end of the stream: what has no end of line is a line,
// too.
func (s *Splitter) End(line func([]byte)) {
	if !s.skip && len(s.rest) > 0 {
		line(s.rest)
	}
	s.rest, s.skip = s.rest[:0], false
}
