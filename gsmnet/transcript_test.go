package gsmnet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
)

// A transcript is a serial dialogue in a text file. A line is one of
//
//	-> "AT\r"             the driver must write exactly this next
//	<- "\r\nOK\r\n"       the module says this, once everything above has been written and said
//	@ 500ms               the module lets so much time pass
//	! dial 192.0.2.1:7007 what the program does: see (*script).act
//	include up.txt        the lines of another file
//	# text                nothing
//
// Each file is played three times: what the module says comes whole, byte by byte, and cut at random places.

type entry struct {
	kind string // "->", "<-", "@", "!"
	text string
	wait time.Duration
	line string // where it stands
}

func loadTranscript(t *testing.T, name string) []entry {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return parseTranscript(t, name, b)
}

func parseTranscript(t *testing.T, name string, b []byte) []entry {
	t.Helper()
	var list []entry
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		kind, rest, _ := strings.Cut(line, " ")
		e := entry{kind: kind, text: strings.TrimSpace(rest), line: fmt.Sprintf("%s:%d", name, n)}
		var err error
		switch kind {
		case "", "#":
			continue
		case "include":
			list = append(list, loadTranscript(t, e.text)...)
			continue
		case "->", "<-":
			e.text, err = strconv.Unquote(e.text)
		case "@":
			e.wait, err = time.ParseDuration(e.text)
		case "!":
		default:
			err = errors.New("unknown kind of line")
		}
		if err != nil {
			t.Fatalf("%s: %v", e.line, err)
		}
		list = append(list, e)
	}
	return list
}

// script is the program's end of a transcript.
type script struct {
	m *gsmnet.Modem
	c *gsmnet.Conn
}

// act does one line:
//
//	up [fails CAUSE]                 dial HOST:PORT [fails CAUSE]     write "text"
//	read "text"                      eof          lost CAUSE          acked N
//	close                            command AT+CSQ "line" …          state STEP
//	sleep 5s                         dial udp HOST:PORT               time 2026-05-04T03:02:01Z
//	down                             waits (WaitAcked fails)
//
// and once, ahead of everything: config pushed, transparent, trusting, free, server=HOST:PORT.
func (s *script) act(t *testing.T, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	arg, cause, fails := strings.Cut(rest, " fails ")
	if word == "up" && strings.HasPrefix(rest, "fails ") {
		cause, fails = strings.TrimPrefix(rest, "fails "), true
	}
	outcome := func(err error) error {
		switch {
		case !fails:
			return err
		case err == nil:
			return fmt.Errorf("no error, want cause %s", cause)
		case gsmnet.CauseOf(err).String() != cause:
			return fmt.Errorf("cause %s, want %s: %w", gsmnet.CauseOf(err), cause, err)
		}
		return nil
	}
	switch word {
	case "up":
		return outcome(s.m.Up(t.Context()))
	case "dial":
		network := "tcp"
		if address, ok := strings.CutPrefix(arg, "udp "); ok {
			network, arg = "udp", address
		}
		c, err := s.m.DialContext(t.Context(), network, arg)
		if err == nil {
			s.c = c.(*gsmnet.Conn)
		}
		return outcome(err)
	case "write":
		text, err := strconv.Unquote(rest)
		if err == nil {
			_, err = s.c.Write([]byte(text))
		}
		return err
	case "read", "eof", "lost":
		return s.receive(word, rest)
	case "acked":
		n, err := strconv.ParseUint(rest, 10, 64)
		if err == nil {
			err = s.c.WaitAcked(t.Context(), n)
		}
		if got := s.c.Acked(); err == nil && got != n {
			err = fmt.Errorf("acked %d, want %d", got, n)
		}
		return err
	case "close":
		return s.c.Close()
	case "down":
		return s.m.Down(t.Context())
	case "time":
		c, err := s.m.Time(t.Context())
		if got := c.Time.Format(time.RFC3339); err == nil && got != rest {
			err = fmt.Errorf("time %s, want %s", got, rest)
		}
		return err
	case "waits":
		if err := s.c.WaitAcked(t.Context(), 1); err == nil {
			return errors.New("an acknowledgement where there can be none")
		}
		return nil
	case "config":
		return nil // see transcriptConfig
	case "command":
		command, want, _ := strings.Cut(rest, " ")
		lines, err := s.m.Command(t.Context(), command)
		if got := strconv.Quote(strings.Join(lines, "|")); err == nil && got != want {
			err = fmt.Errorf("got %s, want %s", got, want)
		}
		return err
	case "state":
		synctest.Wait() // who waits on a connection may hear of its loss first
		if got := s.m.State().Step.String(); got != rest {
			return fmt.Errorf("state %s, want %s", got, rest)
		}
		return nil
	case "sleep":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err
	}
	return fmt.Errorf("unknown action %q", word)
}

// receive does read, eof and lost.
func (s *script) receive(word, rest string) error {
	if word == "read" {
		text, err := strconv.Unquote(rest)
		if err != nil {
			return err
		}
		b := make([]byte, len(text))
		if _, err = io.ReadFull(s.c, b); err == nil && string(b) != text {
			err = fmt.Errorf("read %q, want %q", b, text)
		}
		return err
	}
	n, err := s.c.Read(make([]byte, 10))
	switch {
	case n > 0:
		return fmt.Errorf("read %d bytes, want the end", n)
	case word == "eof" && err != io.EOF:
		return fmt.Errorf("got %v, want io.EOF", err)
	case word == "lost" && (errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || gsmnet.CauseOf(err).String() != rest):
		return fmt.Errorf("got %v (cause %s), want cause %s", err, gsmnet.CauseOf(err), rest)
	}
	return nil
}

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		if strings.HasPrefix(name, "part-") { // only included
			continue
		}
		list := loadTranscript(t, name)
		for _, way := range []string{"whole", "bytewise", "cut"} {
			t.Run(strings.TrimSuffix(name, ".txt")+"/"+way, func(t *testing.T) {
				r := rand.New(rand.NewPCG(3, uint64(len(list))))
				cut := map[string]func(int) int{
					"whole":    func(n int) int { return n },
					"bytewise": func(int) int { return 1 },
					"cut":      func(n int) int { return 1 + r.IntN(n) },
				}[way]
				synctest.Test(t, func(t *testing.T) { play(t, list, cut) })
			})
		}
	}
}

// transcriptConfig is what the program has set, for the dialogues that need something of it.
func transcriptConfig(t *testing.T, list []entry) gsmnet.Config {
	cfg := gsmnet.Config{APN: "CMNET", PIN: "1234", Baud: 115200}
	for _, e := range list {
		rest, ok := strings.CutPrefix(e.text, "config ")
		if e.kind != "!" || !ok {
			continue
		}
		for _, word := range strings.Fields(rest) {
			switch key, value, _ := strings.Cut(word, "="); key {
			case "pushed":
				cfg.Receive = gsmnet.Pushed
			case "transparent":
				cfg.Mode = gsmnet.Transparent
			case "trusting":
				cfg.TrustClosed = true
			case "free":
				cfg.FreeSend = true
			case "server":
				cfg.TimeServer = value
			default:
				t.Fatalf("%s: unknown setting %q", e.line, word)
			}
		}
	}
	return cfg
}

func play(t *testing.T, list []entry, cut func(int) int) {
	p := newPlayer(list, cut)
	var trace bytes.Buffer
	var mu sync.Mutex
	cfg := transcriptConfig(t, list)
	cfg.Trace = func(out bool, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&trace, "%v %q\n", out, b)
	}
	m, err := gsmnet.Open(p, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{m: m}
	for _, e := range list {
		if e.kind != "!" {
			continue
		}
		if err := s.act(t, e.text); err != nil {
			t.Errorf("%s: %s: %v", e.line, e.text, err)
			break
		}
	}
	synctest.Wait()
	if err := p.over(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		mu.Lock()
		b := trace.Bytes()
		t.Logf("the end of the dialogue:\n%s", b[max(0, len(b)-2500):])
		mu.Unlock()
	}
	p.Close() // the end of the line: what the driver would still say is not part of the dialogue
	m.Close()
}
