package gsmnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// aLife is what a program does with a module: while it is recorded, and when that is played.
func aLife(t *testing.T, m *gsmnet.Modem, serve func() net.Conn) {
	t.Helper()
	if err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		nc, err := m.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		c := nc.(*gsmnet.Conn)
		if f := serve(); f != nil {
			go io.Copy(f, io.LimitReader(f, 3000))
			t.Cleanup(func() { f.Close() })
		}
		want := randomBytes(9, 3000)
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("what came back differs, or ended: %v", err)
		}
		if err := c.WaitAcked(t.Context(), c.Written()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // else the command and the last read contend for the dialogue
		if _, err := m.Command(t.Context(), "AT+CSQ"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second) // a safety poll, and not close to the next
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // CLOSE OK comes behind Close
	}
}

// TestRecordedDialogueIsPlayed records a life over the simulated module and plays it strictly against the driver: with the stand-ins
// for PIN and password, since the true ones are not in it.
func TestRecordedDialogueIsPlayed(t *testing.T) {
	const pin, user, password = "4711", "meter", "s3cret-of-the-apn"
	var text bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		far := newFar()
		module := gsmsim.New(gsmsim.Config{SIM: gsmsim.SIM{PIN: pin}, Baud: 115200, Dial: far.dial})
		defer module.Close()
		tr := gsmnet.NewTranscript(&text)
		m, err := gsmnet.Open(module.Wire(), gsmnet.Config{APN: "internet.example", User: user, Password: password, PIN: pin, Baud: 115200, Trace: tr.Trace})
		if err != nil {
			t.Fatal(err)
		}
		aLife(t, m, func() net.Conn { return <-far.conns })
		m.Close()
	})
	for _, secret := range []string{pin, password} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the transcript shows %q", secret)
		}
	}
	for _, want := range []string{`-> "AT+CPIN=\"0000\"\r"`, user, "xxxxxxxx", "@ ", "# 2000-01-01T"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the transcript lacks %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%.3000s", text.String())
	}
	list := parseTranscript(t, "recorded", text.Bytes())
	synctest.Test(t, func(t *testing.T) {
		p := newPlayer(list, func(n int) int { return n })
		m, err := gsmnet.Open(p, gsmnet.Config{APN: "internet.example", User: user, Password: "xxxxxxxx", PIN: "0000", Baud: 115200})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		defer p.Close()
		defer func() {
			if err := p.over(); err != nil {
				t.Error(err)
			}
		}()
		aLife(t, m, func() net.Conn { return nil })
		synctest.Wait()
	})
}

// TestTranscriptMasks: however the bytes of a line are cut, in both directions.
func TestTranscriptMasks(t *testing.T) {
	const literal = "hunter22"
	for _, tc := range []struct{ line, want string }{
		{"AT+CPIN=1234\r", "AT+CPIN=0000\r"},
		{"at + cpin = 87654321\r", "at + cpin = 0000\r"},
		{"AT+CPIN=\"1234\"\r\nOK", "AT+CPIN=\"0000\"\r\nOK"},
		{"AT+CSQ;+CPIN=1234;+CSQ\r", "AT+CSQ;+CPIN=0000;+CSQ\r"},
		{"AT+CPIN=12345678,\"4321\"\r", "AT+CPIN=0000,\"0000\"\r"},
		{"AT+CPIN?\r", "AT+CPIN?\r"},
		{"AT+CPIN=?\r", "AT+CPIN=?\r"},
		{"\r\n+CPIN: SIM PIN\r\n", "\r\n+CPIN: SIM PIN\r\n"},
		{"AT+CPWD=\"SC\",\"1234\",\"4321\"\r", "AT+CPWD=\"SC\",\"0000\",\"0000\"\r"},
		{"AT+CLCK=\"SC\",1,\"1234\"\r", "AT+CLCK=\"SC\",1,\"0000\"\r"},
		{"AT+QICSGP=1,\"a.b\",\"u,v\",\"p;w,\"\rAT", "AT+QICSGP=1,\"a.b\",\"u,v\",\"xxxxxxxx\"\rAT"},
		{"+QICSGP: 1,\"a\",\"u\",\"pw\"\r\n", "+QICSGP: 1,\"a\",\"u\",\"xxxxxxxx\"\r\n"},
		{"AT+QIREGAPP=\"a\",\"u\",\"pw\"\r", "AT+QIREGAPP=\"a\",\"u\",\"xxxxxxxx\"\r"},
		{"AT+QICSGP=1,\"a\",\"u\",\"\"\r", "AT+QICSGP=1,\"a\",\"u\",\"\"\r"},
		{"\x00\x08hunter22\x00", "\x00\x08xxxxxxxx\x00"},
		{"hunterhunter22", "hunterxxxxxxxx"},
		{"+QICSGP=hunter220", "+QICSGP=xxxxxxxx0"}, // in a payload, say
	} {
		for cut := range len(tc.line) {
			var text bytes.Buffer
			tr := gsmnet.NewTranscript(&text, literal)
			out := cut%2 == 0
			tr.Trace(out, []byte(tc.line[:cut]))
			tr.Trace(out, []byte(tc.line[cut:]))
			var got strings.Builder
			for _, e := range parseTranscript(t, "masked", text.Bytes()) {
				if e.kind == "->" || e.kind == "<-" {
					got.WriteString(e.text)
				}
			}
			if isLiteral := strings.Contains(tc.line, literal); isLiteral && cut > 0 {
				// What may be the beginning of the secret at the end of a piece is hidden before it is known to be one.
				if got.Len() != len(tc.want) || strings.Contains(got.String(), literal) || strings.Contains(got.String(), literal[4:]) {
					t.Errorf("%q cut at %d: got %q", tc.line, cut, got.String())
				}
			} else if got.String() != tc.want {
				t.Errorf("%q cut at %d: got %q, want %q", tc.line, cut, got.String(), tc.want)
			}
		}
	}
}

func TestTraceFileIsBoundedAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.txt")
	if err := os.WriteFile(path, []byte("# before\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const most = 4096
	f, err := gsmnet.OpenTraceFile(path, most)
	if err != nil {
		t.Fatal(err)
	}
	tr := gsmnet.NewTranscript(f)
	for range 1000 {
		tr.Trace(true, []byte("AT+QISACK\r"))
	}
	if err := tr.Err(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 || info.Size() > most || info.Size() == 0 {
			t.Errorf("%s: mode %v, %d bytes", name, info.Mode(), info.Size())
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if list := parseTranscript(t, "rotated", b); len(list) == 0 || list[0].kind != "->" {
		t.Errorf("the file doesn't begin with a whole line: %.200q", b)
	}
}

// TestTranscriptEndsAlone: a disk that is full ends the transcript and not the dialogue.
func TestTranscriptEndsAlone(t *testing.T) {
	tr := gsmnet.NewTranscript(fullDisk{})
	var wg sync.WaitGroup
	for _, out := range []bool{true, false} {
		wg.Go(func() { tr.Trace(out, []byte("AT\r")) })
	}
	wg.Wait()
	if err := tr.Err(); !errors.Is(err, errFullDisk) {
		t.Errorf("got %v", err)
	}
}

var errFullDisk = errors.New("no space left")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFullDisk }

func TestTraceFileRefusesWhatIsNoFile(t *testing.T) {
	if _, err := gsmnet.OpenTraceFile("/dev/null", 1000); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("got %v", err)
	}
	if _, err := gsmnet.OpenTraceFile(filepath.Join(t.TempDir(), "none", "x"), 1000); err == nil {
		t.Error("a folder that isn't there: no error")
	}
}
