package gsmnet_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

// openPTY returns the module's end of a pty and the path of ours.
func openPTY(t *testing.T) (*os.File, string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := slave.Name()
	slave.Close()
	t.Cleanup(func() { master.Close() })
	return master, path
}

func TestOpenPortOverAPTY(t *testing.T) {
	master, path := openPTY(t)
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("AT\r")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := io.ReadFull(master, b); err != nil || string(b) != "AT\r" {
		t.Errorf("got %q, %v", b, err)
	}
	master.Write([]byte("\r\nOK\r\n"))
	got := make([]byte, 6)
	if _, err := io.ReadFull(p, got); err != nil || string(got) != "\r\nOK\r\n" {
		t.Errorf("got %q, %v", got, err)
	}
	// A Read that waits is released by Close, and nothing is used after it (S1).
	released := make(chan error)
	go func() {
		_, err := p.Read(make([]byte, 1))
		released <- err
	}()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-released; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if err := p.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestFL1_UnpluggedIsNotClosed(t *testing.T) {
	master, path := openPTY(t)
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	master.Close()
	if _, err := p.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) ||
		!strings.Contains(err.Error(), "unplugged") {
		t.Errorf("got %v", err)
	}
}

func TestPortErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	os.WriteFile(plain, nil, 0o600)
	for path, want := range map[string]string{
		filepath.Join(dir, "ttyUSB7"): "plugged in",
		plain:                         "not a serial port",
		"/dev/null":                   "not a serial port",
	} {
		p, err := gsmnet.OpenPort(path, 115200)
		if err == nil {
			p.Close()
			t.Errorf("%s: no error", path)
			continue
		}
		if gsmnet.CauseOf(err) != gsmnet.CausePort || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := gsmnet.OpenPort(filepath.Join(dir, "ttyUSB7"), 115200); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing port is not fs.ErrNotExist: %v", err)
	}
}

// TestPortIsHeldByOne runs itself as the other process.
func TestPortIsHeldByOne(t *testing.T) {
	if path := os.Getenv("GSMNET_TEST_HOLD"); path != "" {
		p, err := gsmnet.OpenPort(path, 115200)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		os.Stdout.WriteString("held\n")
		io.ReadAll(os.Stdin)
		return
	}
	_, path := openPTY(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestPortIsHeldByOne$")
	cmd.Env = append(os.Environ(), "GSMNET_TEST_HOLD="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err = gsmnet.OpenPort(path, 115200)
	if !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("got %v, want process %d named", err, cmd.Process.Pid)
	}
	in.Close()
	io.Copy(io.Discard, out)
	cmd.Wait()
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatalf("after the other has gone: %v", err)
	}
	p.Close()
}

func TestFL10_WriteThatGetsNowhereEnds(t *testing.T) {
	t.Parallel() // it takes 11 s of real time
	master, path := openPTY(t)
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for err == nil { // nobody reads the other end: its buffer fills
		_, err = p.Write(make([]byte, 4096))
	}
	if got := time.Since(begun); got > 15*time.Second {
		t.Errorf("ended after %v", got)
	}
	begun = time.Now()
	p.Close()
	if got := time.Since(begun); got > 3*time.Second {
		t.Errorf("Close took %v", got)
	}
	// The write still hangs in the driver, and its file must not be given to others. As soon as it ends the port is free.
	if _, err := gsmnet.OpenPort(path, 115200); !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "by this process") {
		t.Errorf("opened beside a write that hangs: %v", err)
	}
	go io.Copy(io.Discard, master) // until the end of the test closes it
	for {
		p, err := gsmnet.OpenPort(path, 115200)
		if err == nil {
			p.Close()
			return
		}
		if !errors.Is(err, syscall.EBUSY) || time.Since(begun) > 30*time.Second {
			t.Fatalf("the driver has let go, and the port stays taken: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// The library's read ends without bytes when its time is over, and it panics when its file has a number for which select has no room.
func TestPortReadWaitsAndDoesNotPanic(t *testing.T) {
	master, path := openPTY(t)
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	go func() {
		time.Sleep(600 * time.Millisecond) // some of the library's time limits
		master.Write([]byte("RDY"))
	}()
	b := make([]byte, 3)
	if n, err := p.Read(b); n == 0 || err != nil {
		t.Errorf("got %d bytes, %v; want the read to wait for some", n, err)
	}
}

func TestPortWithAHighFileNumber(t *testing.T) {
	var most syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err != nil || most.Cur < 1200 {
		t.Fatalf("this test needs 1200 open files, and has %d: %v", most.Cur, err)
	}
	_, path := openPTY(t)
	for range 1100 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	p, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "too many open files") {
		t.Errorf("got %v, want an error that says why", err)
	}
}

func TestModemOverAPTY(t *testing.T) {
	cfg := fast()
	cfg.Baud = 115200
	f := newFar()
	cfg.Dial = f.dial
	module := gsmsim.New(cfg)
	defer module.Close()
	path, err := module.PTY("")
	if err != nil {
		t.Fatal(err)
	}
	port, err := gsmnet.OpenPort(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	m, err := gsmnet.Open(port, gsmnet.Config{Baud: 115200})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := m.DialContext(t.Context(), "tcp", "192.0.2.1:1883")
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c, <-f.conns, 5000)
}
