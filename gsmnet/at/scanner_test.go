package at_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

const (
	longest = 2048 // characters of a line
	largest = 1500 // bytes of a counted block
)

func scan(s *at.Scanner, p []byte, cut func(int) int) []at.Token {
	var got []at.Token
	for len(p) > 0 {
		n := cut(len(p))
		s.Scan(p[:n], func(t at.Token) {
			if t.Kind != at.Whole {
				got = append(got, t)
			}
		})
		p = p[n:]
	}
	return got
}

func line(s string) at.Token { return at.Token{Kind: at.Line, Text: s} }

func counted(header, data string) at.Token {
	return at.Token{Kind: at.Data, Text: header, Data: []byte(data)}
}

const (
	head  = "+QIRD: 1.2.3.4:70,TCP,4"
	head4 = "\r\n" + head + "\r\n"
)

func block4(data string) at.Token { return counted(head, data) }

func TestScanner(t *testing.T) {
	prompt := at.Token{Kind: at.Prompt}
	for _, c := range []struct {
		name, in string
		want     []at.Token
	}{
		{"reply", "\r\n+CSQ: 21,0\r\n\r\nOK\r\n", []at.Token{line("+CSQ: 21,0"), line("OK")}},
		{"echo", "ATE0\r\r\nOK\r\n", []at.Token{line("ATE0"), line("OK")}},
		{"numeric codes end in CR alone", "0\r4\r", []at.Token{line("0"), line("4")}},
		{"a space before the end", "\r\nUNDER_VOLTAGE WARNING \r\n", []at.Token{line("UNDER_VOLTAGE WARNING")}},
		{"NUL from a framing error", "\r\nO\x00K\r\n", []at.Token{line("OK")}},
		{"G4.1 prompt has no end", "\r\n> ", []at.Token{prompt}},
		{"G4.3 prompt without space", "\r\n>\r\nSEND OK\r\n", []at.Token{prompt, line("SEND OK")}},
		{"prompt and URC", "\r\n> \r\nCLOSED\r\n", []at.Token{prompt, line("CLOSED")}},
		{"> inside a line is no prompt", "\r\na > b\r\n", []at.Token{line("a > b")}},
		{"G5.4 counted data", "\r\n+QIRD: 1.2.3.4:70,TCP,4\r\nab\r\n\r\nOK\r\n",
			[]at.Token{counted("+QIRD: 1.2.3.4:70,TCP,4", "ab\r\n"), line("OK")}},
		{"G5.4 header without space", "\r\n+QIRD:1.2.3.4:70,TCP,3\r\n> \x00\r\nOK\r\n",
			[]at.Token{counted("+QIRD:1.2.3.4:70,TCP,3", "> \x00"), line("OK")}},
		{"FL4 a count that is too small", "\r\n+QIRD: 1.2.3.4:70,TCP,2\r\nabT\r\nOK\r\n",
			[]at.Token{{Kind: at.Damage, Text: "+QIRD: 1.2.3.4:70,TCP,2"}, line("T"), line("OK")}},
		{"OK without CR LF behind the data", head4 + "abcdOK\r\n" + head4 + "efghOK\r\n",
			[]at.Token{block4("abcd"), line("OK"), block4("efgh"), line("OK")}},
		{"that form once seen also behind CR LF", head4 + "abcdOK\r\n" + head4 + "ef\r\nOK\r\n",
			[]at.Token{block4("abcd"), line("OK"), block4("ef\r\n"), line("OK")}},
		{"that form never once CR LF was seen", head4 + "abcd\r\nOK\r\n" + head4 + "efghOK\r\n",
			[]at.Token{block4("abcd"), line("OK"), {Kind: at.Damage, Text: head}, line("OK")}},
		{"neither OK nor anything else", head4 + "abcdO\r\n", []at.Token{{Kind: at.Damage, Text: head}, line("O")}},
		{"a count alone", "\r\n+QIRD: 2\r\nab\r\nOK\r\n", []at.Token{counted("+QIRD: 2", "ab"), line("OK")}},
		{"no data", "+QIRD: 0\r\n", []at.Token{line("+QIRD: 0")}},
		{"absurd count", "+QIRD: 1.2.3.4:70,TCP,99999\r\nx\r\n", []at.Token{line("+QIRD: 1.2.3.4:70,TCP,99999"), line("x")}},
		{"FL4 one byte lost", "+QIRD: 1.2.3.4:70,TCP,4\r\nabc\r\nOK\r\n",
			[]at.Token{{Kind: at.Damage, Text: "+QIRD: 1.2.3.4:70,TCP,4"}, line("OK")}},
		{"FL4 two bytes lost", "+QIRD: 1.2.3.4:70,TCP,4\r\nab\r\nOK\r\n",
			[]at.Token{{Kind: at.Damage, Text: "+QIRD: 1.2.3.4:70,TCP,4"}, line("OK")}},
		{"FL4 a URC inside, where a CR follows the count", "+QIRD: 1.2.3.4:70,TCP,8\r\n\r\nRING\r\n\rabcdefg\r\nOK\r\n",
			[]at.Token{{Kind: at.Damage, Text: "+QIRD: 1.2.3.4:70,TCP,8"}, line("abcdefg"), line("OK")}},
		{"FL5 a byte doubled", "+QIRD: 1.2.3.4:70,TCP,4\r\nabbcd\r\nOK\r\n",
			[]at.Token{{Kind: at.Damage, Text: "+QIRD: 1.2.3.4:70,TCP,4"}, line("d"), line("OK")}},
		{"G5.2 pushed with everything", "\r\nRECV FROM:1.2.3.4:70\r\nIPD5TCP:ab\r\nc\r\nOK\r\n",
			[]at.Token{line("RECV FROM:1.2.3.4:70"), counted("IPD5TCP:", "ab\r\nc"), line("OK")}},
		{"G5.2 pushed twice, the second without a blank line", "IPD2TCP:abRECV FROM:1.2.3.4:70\r\nIPD1TCP:c",
			[]at.Token{counted("IPD2TCP:", "ab"), line("RECV FROM:1.2.3.4:70"), counted("IPD1TCP:", "c")}},
		{"FL4 a pushed byte lost", "IPD3TCP:ab\r\nOK\r\n",
			[]at.Token{counted("IPD3TCP:", "ab\r"), {Kind: at.Damage, Text: "IPD3TCP:"}, line("OK")}},
		{"FL5 a pushed byte doubled", "IPD3TCP:abbc\r\nOK\r\n",
			[]at.Token{counted("IPD3TCP:", "abb"), {Kind: at.Damage, Text: "IPD3TCP:"}, line("c"), line("OK")}},
		{"G2.9 pushed with a length", "IPD3:a:b", []at.Token{counted("IPD3:", "a:b")}},
		{"a name that begins like a header", "IPDX: 3\r\n", []at.Token{line("IPDX: 3")}},
	} {
		for _, way := range cuts(len(c.in)) {
			got := scan(new(at.Scanner), []byte(c.in), way)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, d)
				break
			}
		}
	}
}

func TestFL7_DataThatLooksLikeTalk(t *testing.T) {
	payload := "\r\nOK\r\n\r\nCLOSED\r\n+PDP DEACT\r\n\r\n> RDY\r\n+QIRD: 1.2.3.4:70,TCP,5\r\n"
	in := "+QIRD: 1.2.3.4:70,TCP,62\r\n" + payload + "\r\nOK\r\n"
	if len(payload) != 62 {
		t.Fatal(len(payload))
	}
	for _, way := range cuts(len(in)) {
		got := scan(new(at.Scanner), []byte(in), way)
		if d := cmp.Diff([]at.Token{counted("+QIRD: 1.2.3.4:70,TCP,62", payload), line("OK")}, got); d != "" {
			t.Fatal(d)
		}
	}
}

// cuts are ways to deliver bytes: whole, one by one, at random places.
func cuts(n int) []func(int) int {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	random := func(n int) int { return 1 + r.IntN(n) }
	return []func(int) int{func(n int) int { return n }, func(int) int { return 1 }, random, random, random}
}

func TestFL9_LineWithoutEnd(t *testing.T) {
	var s at.Scanner
	in := strings.Repeat("x", 1<<20) + "\r\nOK\r\n"
	got := scan(&s, []byte(in), func(n int) int { return min(n, 1000) })
	if d := cmp.Diff([]at.Token{line("OK")}, got); d != "" {
		t.Error(d)
	}
	if s.Dropped() != 1 {
		t.Errorf("dropped %d lines, want 1", s.Dropped())
	}
}

func TestPayloadEcho(t *testing.T) {
	for _, c := range []struct {
		name, payload, in string
		want              []at.Token
	}{
		{"echoed", "a\r\nOK\r\n> b", " a\r\nOK\r\n> b\r\nSEND OK\r\n", []at.Token{line("SEND OK")}},
		{"not echoed", "hello", " \r\nSEND OK\r\n", []at.Token{line("SEND OK")}},
		{"not echoed, same beginning", "\r\nSEND FAIL", " \r\nSEND OK\r\n", []at.Token{line("SEND OK")}},
		{"nothing at all", "x", " ", nil},
		{"a URC before it", "OK\r\nCLOSED\r\n", " \r\nRING\r\n\r\n+CREG: 2\r\nOK\r\nCLOSED\r\n\r\nSEND OK\r\n",
			[]at.Token{line("RING"), line("+CREG: 2"), line("SEND OK")}},
		{"a URC and no echo", "SEND OK", " \r\nRING\r\n\r\nSEND FAIL\r\nSEND OK\r\n",
			[]at.Token{line("RING"), line("SEND FAIL"), line("SEND OK")}},
	} {
		for _, way := range cuts(len(c.in)) {
			var s at.Scanner
			scan(&s, []byte("\r\n>"), way)
			s.ExpectEcho([]byte(c.payload))
			if d := cmp.Diff(c.want, scan(&s, []byte(c.in), way)); d != "" {
				t.Errorf("%s: %s", c.name, d)
				break
			}
		}
	}
}

func TestG8_1_RawAfterConnect(t *testing.T) {
	in := "\r\nOK\r\n\r\nCONNECT\r\n\r\nOK\r\n> x"
	for _, way := range cuts(len(in)) {
		var s at.Scanner
		s.RawAfter("CONNECT")
		var raw []byte
		var lines []at.Token
		for _, tok := range scan(&s, []byte(in), way) {
			if tok.Kind == at.Raw {
				raw = append(raw, tok.Data...)
			} else {
				lines = append(lines, tok)
			}
		}
		if d := cmp.Diff([]at.Token{line("OK"), line("CONNECT")}, lines); d != "" {
			t.Error(d)
		}
		if string(raw) != "\r\nOK\r\n> x" {
			t.Errorf("raw %q", raw)
		}
	}
}

// FuzzScanner: however the bytes come, the tokens are the same; nothing is too long; and after any rubbish the scanner is in step
// again within one line.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		"\r\n+CSQ: 21,0\r\n\r\nOK\r\n", "\r\n> ", "\r\n+QIRD: 1.2.3.4:70,TCP,4\r\nab\r\n\r\nOK\r\n", "IPD5TCP:ab\r\nc",
		"\r\n+QIRDI: 0,1,0\r\n", "\x00\xff\r\n>>\r\r\n\n", "+QIRD: 1.2.3.4:70,TCP,1500\r\nOK\r\n", "IPD1500:RDY\r\n",
	} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		whole := scan(new(at.Scanner), in, func(n int) int { return n })
		var s at.Scanner
		cut := scan(&s, in, func(n int) int { return 1 + r.IntN(n) })
		if d := cmp.Diff(whole, cut); d != "" {
			t.Fatalf("the way of cutting matters: %s", d)
		}
		total := 0
		for _, tok := range whole {
			total += len(tok.Text) + len(tok.Data)
			switch {
			case tok.Kind == at.Line && (tok.Text == "" || len(tok.Text) > longest || strings.ContainsAny(tok.Text, "\r\n\x00")):
				t.Fatalf("bad line %q", tok.Text)
			case tok.Kind == at.Data && (len(tok.Data) == 0 || len(tok.Data) > largest):
				t.Fatalf("bad data of %d bytes", len(tok.Data))
			}
		}
		if total > len(in)+len(whole)*longest {
			t.Fatal("more came out than went in")
		}
		s.Reset()
		rest := scan(&s, []byte("\r\nOK\r\n"), func(int) int { return 1 })
		if len(rest) == 0 || !bytes.HasSuffix([]byte(rest[len(rest)-1].Text), []byte("OK")) {
			t.Fatalf("not in step after a reset: %v", rest)
		}
	})
}

// TestG5_4_DataWithoutAnEnd: the guide prints neither CR LF nor OK behind the data of +QIRD, and some write their module so.
func TestG5_4_DataWithoutAnEnd(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want bool
	}{
		"all bytes":                           {head4 + "abcd", true},
		"one is missing":                      {head4 + "abc", false},
		"the module has closed others before": {head4 + "abcd\r\nOK\r\n" + head4 + "efgh", false},
		"the end in place of what is lost":    {"\r\n+QIRD: 1.2.3.4:70,TCP,6\r\n\r\nOK\r\n", false},
		"a report in between before":          {head4 + "abcd\r\n+QIRDI: 0,1,0\r\n" + head4 + "efgh", true},
	} {
		t.Run(name, func(t *testing.T) {
			var s at.Scanner
			scan(&s, []byte(c.in), func(n int) int { return n })
			if got, ok := s.TakeWhole(); ok != c.want {
				t.Errorf("got %+v, %v, want %v", got, ok, c.want)
			}
		})
	}
}
