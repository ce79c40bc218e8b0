package gsmnet_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fieldpost/fieldpost/gsmnet"
)

// FuzzTranscript writes anything, with a secret in its midst, in pieces: the secret is not in the transcript, which can be
// read back line by line.
func FuzzTranscript(f *testing.F) {
	f.Add([]byte("AT+QICSGP=1,\"a\",\"u\",\""), []byte("\"\r\n"), uint8(3))
	f.Add([]byte("hunterhunter2"), []byte("2hunter"), uint8(1))
	f.Add([]byte("\x00\x08"), []byte("\xff\r\nAT+CPIN=1234\r"), uint8(200))
	f.Fuzz(func(t *testing.T, before, after []byte, step uint8) {
		const secret = "hunter22"
		var text bytes.Buffer
		tr := gsmnet.NewTranscript(&text, secret)
		line := append(append(bytes.Clone(before), secret...), after...)
		for piece := max(int(step), 1); len(line) > 0; line = line[min(piece, len(line)):] {
			tr.Trace(true, line[:min(piece, len(line))])
		}
		var got strings.Builder
		for _, e := range parseTranscript(t, "fuzz", text.Bytes()) {
			if e.kind == "->" {
				got.WriteString(e.text)
			}
		}
		if strings.Contains(got.String(), secret) {
			t.Errorf("the transcript tells the secret: %q", got.String())
		}
	})
}
