package gsmsim_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
	"golang.org/x/sys/unix"
)

// quick is a module that boots and registers in next to no time, for tests in real time.
func quick() gsmsim.Config {
	const soon = 10 * time.Millisecond
	return gsmsim.Config{
		Baud:    115200,
		Network: gsmsim.Network{Register: soon, Attach: soon},
		Radio:   gsmsim.Radio{RTT: soon, Up: 100_000, Down: 100_000},
		Timing:  gsmsim.Timing{Boot: soon, Answer: time.Millisecond, Activate: soon, Settle: time.Millisecond, Close: soon},
	}
}

// terminal reads a pty and waits for texts in what comes.
type terminal struct {
	t    *testing.T
	file *os.File
	in   *bufio.Reader
}

func openTerminal(t *testing.T, path string) *terminal {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &terminal{t: t, file: f, in: bufio.NewReader(f)}
}

// until reads up to the end of text and returns what was read.
func (h *terminal) until(text string) string {
	h.t.Helper()
	if err := h.file.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	var got []byte
	for !strings.HasSuffix(string(got), text) {
		c, err := h.in.ReadByte()
		if err != nil {
			h.t.Fatalf("got %q, want %q at its end: %v", got, text, err)
		}
		got = append(got, c)
	}
	return string(got)
}

func (h *terminal) do(command, want string) {
	h.t.Helper()
	io.WriteString(h.file, command+"\r")
	h.until(want)
}

func TestPTY(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cfg := quick()
	cfg.Off = true
	m := gsmsim.New(cfg)
	defer m.Close()
	link := filepath.Join(t.TempDir(), "modem")
	path, err := m.PTY(link)
	if err != nil || path != link {
		t.Fatalf("PTY(%q) = %q, %v", link, path, err)
	}
	h := openTerminal(t, link)
	m.SetPowerKey(true)
	h.until("RDY\r\n")
	m.SetPowerKey(false)
	h.do("ATE0", "OK\r\n")
	h.do("AT+QISDE=0", "OK\r\n")
	h.until("Call Ready\r\n")
	h.do("AT+QINDI=1", "OK\r\n")
	before := m.Stats().SerialOut
	io.WriteString(h.file, "AT+CSQ\r")
	for m.Stats().SerialOut < before+uint64(len("\r\n+CSQ: 21,0\r\n\r\nOK\r\n")) {
		time.Sleep(time.Millisecond)
	}
	h.file.Close() // without a look at the reply
	for lost := m.Stats().Overrun; m.Stats().Overrun == lost; time.Sleep(time.Millisecond) {
		m.URC("RING") // until nobody hears it
	}

	// Another host finds the module as it was left: no echo, and no bytes of the past.
	h = openTerminal(t, link)
	io.WriteString(h.file, "AT+QINDI?\r")
	if got, want := h.until("OK\r\n"), "\r\n+QINDI: 1\r\n\r\nOK\r\n"; got != want {
		t.Errorf("after reopening: got %q, want %q", got, want)
	}
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	h.do(`AT+QIOPEN="TCP","`+host+`","`+port+`"`, "CONNECT OK\r\n")
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	h.do("AT+QISEND=4", "> ")
	io.WriteString(h.file, "ping")
	h.until("SEND OK\r\n")
	b := make([]byte, 4)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping" {
		t.Fatalf("the server got %q, %v", b, err)
	}
	conn.Write([]byte("pong"))
	h.until("+QIRDI: 0,1,0\r\n")
	h.do("AT+QIRD=0,1,0,1500", ",TCP,4\r\npong\r\nOK\r\n")

	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("the link is still there after Close: %v", err)
	}
	if n, err := h.file.Read(b); err == nil {
		t.Errorf("read %d bytes from the terminal of a closed module", n)
	}
}

func TestPTYAtWrongSpeed(t *testing.T) {
	cfg := quick()
	cfg.Off = true
	m := gsmsim.New(cfg)
	defer m.Close()
	path, err := m.PTY("")
	if err != nil {
		t.Fatal(err)
	}
	h := openTerminal(t, path)
	m.SetPowerKey(true)
	h.until("RDY\r\n")
	setSpeed := func(speed uint32) {
		t.Helper()
		settings, err := unix.IoctlGetTermios(int(h.file.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		settings.Cflag = settings.Cflag&^unix.CBAUD | speed
		if err := unix.IoctlSetTermios(int(h.file.Fd()), unix.TCSETS, settings); err != nil {
			t.Fatal(err)
		}
	}
	setSpeed(unix.B9600)
	before := m.Stats().SerialIn
	io.WriteString(h.file, "AT+QINDI=2\r")
	for m.Stats().SerialIn < before+11 {
		time.Sleep(time.Millisecond)
	}
	setSpeed(unix.B115200)
	io.WriteString(h.file, "\rAT+QINDI?\r")
	if got := h.until("OK\r\n"); !strings.Contains(got, "+QINDI: 0") {
		t.Errorf("a command at the wrong speed was understood: %q", got)
	}
}

func TestPTYRefusesFile(t *testing.T) {
	m := gsmsim.New(gsmsim.Config{Off: true})
	defer m.Close()
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.PTY(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("PTY over a file: error %v, want one that names %s", err, path)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file has %q now (%v)", b, err)
	}
}
