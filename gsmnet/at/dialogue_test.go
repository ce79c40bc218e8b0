package at_test

import (
	"bytes"
	stdcmp "cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// fake is a module of a few lines: answer gets each command line, or while it waits for a payload the bytes, and says things.
type fake struct {
	mu      sync.Mutex
	changed *sync.Cond
	in, out []byte
	expects int // bytes of payload that it waits for
	payload []byte
	closed  bool
	done    string // what it says when it has the payload; "": SEND OK
	stuck   bool   // takes no bytes
	answer  func(f *fake, line string)
}

func newFake(answer func(*fake, string)) *fake {
	f := &fake{answer: answer}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fake) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.stuck && !f.closed {
		f.changed.Wait()
	}
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	f.in = append(f.in, p...)
	for f.step() {
	}
	return len(p), nil
}

// step is called with mu held.
func (f *fake) step() bool {
	if f.expects > 0 {
		n := min(f.expects, len(f.in))
		f.payload = append(f.payload, f.in[:n]...)
		f.in = f.in[n:]
		f.expects -= n
		if n > 0 && f.expects == 0 {
			f.say(stdcmp.Or(f.done, "\r\nSEND OK\r\n"))
		}
		return n > 0
	}
	i := bytes.IndexByte(f.in, '\r')
	if i < 0 {
		return false
	}
	line := string(f.in[:i])
	f.in = f.in[i+1:]
	if line != "" {
		f.answer(f, line)
	}
	return true
}

// say is called with mu held.
func (f *fake) say(s string) {
	f.out = append(f.out, s...)
	f.changed.Broadcast()
}

func (f *fake) later(d time.Duration, s string) {
	time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.say(s)
	})
}

func (f *fake) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.out) == 0 && !f.closed {
		f.changed.Wait()
	}
	if f.closed {
		return 0, io.EOF
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

func (f *fake) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.changed.Broadcast()
}

// obliging answers the probes and says OK to the rest.
func obliging(f *fake, line string) {
	switch line {
	case "AT+CSQ":
		f.say("\r\n+CSQ: 21,0\r\n\r\nOK\r\n")
	case "AT+IPR?":
		f.say("\r\n+IPR: 115200\r\n\r\nOK\r\n")
	default:
		f.say("\r\nOK\r\n")
	}
}

func start(t *testing.T, f *fake) (*at.Dialogue, *[]string) {
	t.Helper()
	var urcs []string
	d := at.New(f, at.Config{URC: func(tok at.Token) { urcs = append(urcs, tok.Text) }})
	t.Cleanup(func() {
		d.Stop()
		f.close()
		d.Wait()
	})
	return d, &urcs
}

func TestFL11_LateAnswerIsNotTheNextCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			switch line {
			case "AT+SLOW":
				f.later(3*time.Second, "\r\nOK\r\n") // after the caller's patience, in the middle of the probe
			case "AT+CSQ":
				f.later(1500*time.Millisecond, "\r\n+CSQ: 21,0\r\n\r\nOK\r\n")
			case "AT+NEXT":
				f.later(1500*time.Millisecond, "\r\n+CME ERROR: 4\r\n") // after the late OK, had it been sent at once
			default:
				obliging(f, line)
			}
		})
		d, _ := start(t, f)
		if _, err := d.Do(at.Command{Line: "AT+SLOW", Timeout: 2 * time.Second}); !errors.Is(err, at.ErrTimeout) {
			t.Fatalf("got %v, want a timeout", err)
		}
		_, err := d.Do(at.Command{Line: "AT+NEXT", Timeout: 2 * time.Second})
		var refused *at.Error
		if !errors.As(err, &refused) || refused.Code != 4 {
			t.Errorf("got %v, want the refusal that AT+NEXT got", err)
		}
	})
}

func TestFL11_NothingIsSentToAModuleThatAnswersNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		knocks := 0
		f := newFake(func(_ *fake, line string) {
			if line == "AT" { // it may have restarted, and look for its speed
				knocks++
				return
			}
			lines = append(lines, line)
		})
		d, _ := start(t, f)
		d.Do(at.Command{Line: "AT+ONE", Timeout: time.Second})
		begun := time.Now()
		if _, err := d.Do(at.Command{Line: "AT+TWO", Timeout: time.Second}); !errors.Is(err, at.ErrHung) {
			t.Errorf("got %v, want ErrHung", err)
		}
		if got := time.Since(begun); got != 60*time.Second {
			t.Errorf("gave up after %v, want the 60 s of G9.2", got)
		}
		want := []string{"AT+ONE", "AT+CSQ", "AT+IPR?", "AT+CGATT?", "AT+QIMUX?", "AT+CMEE?"}
		if d := cmp.Diff(want, lines); d != "" {
			t.Error(d)
		}
		if knocks < 4 {
			t.Errorf("AT alone was said %d times, want some before each further question", knocks)
		}
	})
}

func TestFL6_URCsStayOutOfRepliesAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			f.say("\r\n+QIRDI: 0,1,0\r\n\r\n+QISACK: 9, 0, 9\r\n\r\nRING\r\n\r\n+CREG: 2\r\n\r\nwhat is this\r\n\r\nOK\r\n\r\nCLOSED\r\n")
		})
		d, urcs := start(t, f)
		r, err := d.Do(at.Command{Line: "AT+QISACK", Accept: at.Prefixed("+QISACK:"), Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		d.Drain()
		if diff := cmp.Diff([]string{"+QISACK: 9, 0, 9"}, r.Lines); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"+QIRDI: 0,1,0", "RING", "+CREG: 2", "CLOSED"}, *urcs); diff != "" {
			t.Error(diff)
		}
		if n := d.Stats().Strays; n != 1 {
			t.Errorf("%d strays, want 1", n)
		}
	})
}

func TestG4_3_PromisedBytesFollowThePrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			f.expects = 5
			f.say("\r\n> \r\nCLOSED\r\n\r\n+PDP DEACT\r\n")
		})
		d, urcs := start(t, f)
		r, err := d.Do(at.Command{Line: "AT+QISEND=5", Payload: []byte("\x08\x1a\x1bOK"), Timeout: time.Second,
			Accept: func(l string) at.Verdict {
				if l == "SEND OK" {
					return at.Done
				}
				return at.Final(l)
			}})
		if err != nil || r.Final != "SEND OK" {
			t.Errorf("got %q, %v", r.Final, err)
		}
		if string(f.payload) != "\x08\x1a\x1bOK" {
			t.Errorf("payload %q", f.payload)
		}
		if diff := cmp.Diff([]string{"CLOSED", "+PDP DEACT"}, *urcs); diff != "" {
			t.Error(diff)
		}
	})
}

func TestG4_3_AModuleThatWaitsForPayloadIsFed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			if strings.HasPrefix(line, "AT+QISEND") {
				f.expects = 100 // and its prompt is lost
				return
			}
			obliging(f, line)
		})
		d, _ := start(t, f)
		_, err := d.Do(at.Command{Line: "AT+QISEND=100", Payload: bytes.Repeat([]byte("x"), 100), Timeout: time.Second})
		if !errors.Is(err, at.ErrTimeout) {
			t.Fatalf("got %v, want a timeout", err)
		}
		polluted, err := d.Resync()
		if err != nil || !polluted {
			t.Errorf("got polluted %v, %v; want true, nil", polluted, err)
		}
		if bytes.Contains(f.payload, []byte("x")) {
			t.Error("payload was sent without a prompt")
		}
	})
}

func TestFL10_StuckPortReleasesTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(obliging)
		f.stuck = true
		d, _ := start(t, f)
		begun := time.Now()
		_, err := d.Do(at.Command{Line: "AT", Timeout: time.Second})
		var port *at.PortError
		if !errors.As(err, &port) || !errors.Is(err, at.ErrStuck) {
			t.Errorf("got %v, want ErrStuck in a PortError", err)
		}
		if got := time.Since(begun); got != 30*time.Second {
			t.Errorf("released after %v", got)
		}
	})
}

func TestFM20_RestartEndsTheCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) { f.later(time.Second, "\r\nRDY\r\n\r\n+CFUN: 1\r\n") })
		d, urcs := start(t, f)
		if _, err := d.Do(at.Command{Line: "AT+QIACT", Timeout: 180 * time.Second}); !errors.Is(err, at.ErrRestarted) {
			t.Errorf("got %v, want ErrRestarted", err)
		}
		if diff := cmp.Diff([]string{"RDY"}, *urcs); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTrailingLineDoesNotAnswerTheNextCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) {
			if line == "AT+QICLOSE" {
				f.say("\r\nCLOSE OK\r\n")
				f.later(100*time.Millisecond, "\r\nOK\r\n")
				return
			}
			f.later(time.Second, "\r\nERROR\r\n")
		})
		d, _ := start(t, f)
		if _, err := d.Do(at.Command{Line: "AT+QICLOSE", Timeout: time.Second, Trailing: []string{"OK"},
			Accept: func(l string) at.Verdict {
				if l == "CLOSE OK" {
					return at.Done
				}
				return at.Final(l)
			}}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Do(at.Command{Line: "AT+X", Timeout: 2 * time.Second}); err == nil {
			t.Error("the late OK was taken for the next command's")
		}
	})
}

func TestErrorsDoNotTellArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(f *fake, line string) { f.say("\r\n+CME ERROR: 16\r\n") })
		d, _ := start(t, f)
		_, err := d.Do(at.Command{Line: `AT+CPIN="1234"`, Timeout: time.Second})
		if err == nil || strings.Contains(err.Error(), "1234") || !strings.Contains(err.Error(), "AT+CPIN") {
			t.Errorf("got %v", err)
		}
	})
}

func ExampleDialogue() {
	// A module that knows one answer.
	f := newFake(func(f *fake, line string) { f.say("\r\n+CSQ: 21,0\r\n\r\nOK\r\n\r\nRING\r\n") })
	rings := 0
	d := at.New(f, at.Config{URC: func(t at.Token) { rings++; fmt.Println("on its own:", t.Text) }})
	r, err := d.Do(at.Command{Line: "AT+CSQ", Accept: at.Prefixed("+CSQ:"), Timeout: time.Second})
	fmt.Println(r.Lines[0], err)
	for rings == 0 {
		<-d.Ready()
		d.Drain()
	}
	d.Stop()
	f.close()
	d.Wait()
	// Output:
	// +CSQ: 21,0 <nil>
	// on its own: RING
}
