package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestStatusWatchGoesOn: a question without an answer must not end the watching.
func TestStatusWatchGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(s.data, "control.sock")) // somebody who hangs up
	if err != nil {
		t.Fatal(err)
	}
	hung := make(chan struct{})
	go func() {
		defer close(hung)
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
		l.Close()
	}()
	p := fieldpost(t, "status --watch", "status", "--watch", "--config", s.conf)
	p.waitFor("no answer: ", 20*time.Second)
	<-hung
	p.waitFor("STOPPED: the agent is not running", 20*time.Second)
	if code := p.stop(10 * time.Second); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	if escapes.MatchString(p.text()) {
		t.Errorf("control sequences off a terminal: %q", p.text())
	}
}
