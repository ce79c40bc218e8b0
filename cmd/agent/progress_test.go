package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

func TestProgressOnATerminal(t *testing.T) {
	t.Setenv("TERM", "linux")
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	p := newProgress(slave, "importing", 2048, true)
	if p == nil {
		t.Fatal("nothing is shown on a terminal")
	}
	if _, err := io.Copy(io.Discard, p.bytes(strings.NewReader(strings.Repeat("x", 1024)))); err != nil {
		t.Fatal(err)
	}
	p.end()
	slave.Close()
	got, _ := io.ReadAll(master) // ends with EIO
	if want := "\r\x1b[2Kimporting: 1.0 KiB of 2.0 KiB, 50 %\r\x1b[2K"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgressIsSeldomDrawn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{out: &out, what: "exporting", total: -1, drawn: time.Now().Add(time.Hour)}
	w := p.lines(io.Discard)
	for range 1000 {
		if _, err := io.WriteString(w, "a\nb\n"); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() > 0 || p.text() != "exporting: 2000" {
		t.Errorf("got %q drawn, %q", out.String(), p.text())
	}
}

func TestProgressOffATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, "exporting", 1, false)
	p.at(1)
	if _, err := io.WriteString(p.lines(io.Discard), "a\n"); err != nil {
		t.Fatal(err)
	}
	p.end()
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}
