package gsmsim_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/gsmsim"
)

func TestWirePace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{Baud: 9600, Timing: gsmsim.Timing{Answer: time.Millisecond}})
		start := time.Now()
		h.write("AT+GSN" + strings.Repeat(" ", 953) + "\r") // 960 bytes: a second at 9600
		h.wait("\r\n001017000000017\r\n\r\nOK\r\n", 5*time.Second)
		// 25 bytes come back, and the answer takes 1 ms.
		if got, want := time.Since(start).Round(time.Millisecond), 1027*time.Millisecond; got != want {
			t.Errorf("command and reply took %v, want %v", got, want)
		}
	})
}

func TestWireReplacedAndClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		m := gsmsim.New(gsmsim.Config{Baud: 115200})
		defer m.Close()
		first := m.Wire()
		second := m.Wire()
		b := make([]byte, 1)
		if n, err := first.Read(b); n != 0 || err != io.EOF {
			t.Errorf("Read of a replaced wire = %d, %v, want EOF", n, err)
		}
		if _, err := first.Write(b); err == nil {
			t.Error("Write of a replaced wire succeeded")
		}
		go func() {
			time.Sleep(time.Minute)
			second.Close()
		}()
		if _, err := io.Copy(io.Discard, second); err != io.ErrClosedPipe {
			t.Errorf("reading until Close: %v", err)
		}
		third := m.Wire()
		m.Unplug()
		if _, err := third.Read(b); err != io.EOF {
			t.Errorf("Read after Unplug: %v, want EOF", err)
		}
		m.Close()
		if _, err := m.Wire().Read(b); err != io.EOF {
			t.Errorf("Read of a closed module's wire: %v, want EOF", err)
		}
		if got := m.Stats().Boots; got != 1 {
			t.Errorf("a closed module booted %d times, want 1", got)
		}
	})
}

func TestOverlappedCommandsAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := booted(t, gsmsim.Config{})
		h.do("AT", "\r\nOK\r\n")
		if got := h.m.Stats().Overlapped; got != 0 {
			t.Errorf("%d overlaps of a host that waits", got)
		}
		h.write("AT\rAT\r")
		h.wait("\r\nOK\r\n\r\nOK\r\n", time.Second)
		if got := h.m.Stats().Overlapped; got != 1 {
			t.Errorf("%d overlaps of a host that does not wait, want 1", got)
		}
	})
}

func TestTrace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var trace strings.Builder
		h := booted(t, gsmsim.Config{Trace: func(dir gsmsim.Direction, b []byte) {
			trace.WriteString(dir.String() + string(b) + "|")
		}})
		h.do("AT", "\r\nOK\r\n")
		h.m.Close() // the trace belongs to the module until then
		if want := "->AT\r|<-\r\nOK\r\n|"; !strings.HasSuffix(trace.String(), want) {
			t.Errorf("trace %q, want %q at its end", trace.String(), want)
		}
	})
}
