package gsmnet

import "testing"

// FuzzClock gives anything to those who are asked for the time: what they believe is a date that can be.
func FuzzClock(f *testing.F) {
	f.Add(`+QNITZ: "18/06/23,11:42:28+22,0"`, make([]byte, sntpSize))
	f.Add(`+CCLK: "26/06/23,11:42:28-00"`, []byte("\x24\x01\x00\xe9\x00\x00\x00\x00\x00\x00\x00\x00GPS\x00\xee\x00\x00\x00\x00\x00\x00\x00"+
		"\xee\x00\x00\x00\x00\x00\x00\x00\xee\x00\x00\x00\x00\x00\x00\x00\xee\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, line string, answer []byte) {
		for _, prefix := range []string{"+QNITZ:", "+CCLK:"} {
			if at, ok := parseClock(line, prefix); ok && at.Before(oldest) {
				t.Errorf("%q is believed as %v", line, at)
			}
		}
		if len(answer) != sntpSize { // askSNTP drops others
			return
		}
		if at, err := parseSNTP(answer); err == nil && at.Before(oldest) {
			t.Errorf("% x is believed as %v", answer, at)
		}
	})
}
