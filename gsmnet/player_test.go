package gsmnet_test

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// player is the module's end of a transcript.
type player struct {
	mu      sync.Mutex
	changed *sync.Cond
	list    []entry
	cut     func(n int) int // how much of n bytes to hand out at a time
	out     []byte          // said, not yet read by the driver
	got     []byte          // written by the driver, not yet matched
	err     error
	closed  bool
}

func newPlayer(list []entry, cut func(int) int) *player {
	p := &player{cut: cut}
	p.changed = sync.NewCond(&p.mu)
	for _, e := range list {
		if e.kind != "!" {
			p.list = append(p.list, e)
		}
	}
	p.mu.Lock()
	p.advance()
	p.mu.Unlock()
	return p
}

// advance plays what is the module's turn. It is called with mu held.
func (p *player) advance() {
	for len(p.list) > 0 && p.err == nil {
		e := p.list[0]
		switch e.kind {
		case "<-":
			p.out = append(p.out, e.text...)
		case "@":
			p.list[0].kind = "waiting"
			p.changed.Broadcast()
			time.AfterFunc(e.wait, func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.list = p.list[1:]
				p.advance()
			})
			return
		case "waiting":
			return
		case "->":
			if len(p.got) == 0 {
				p.changed.Broadcast()
				return
			}
			n := min(len(p.got), len(e.text))
			if string(p.got[:n]) != e.text[:n] {
				p.err = fmt.Errorf("%s: the driver wrote %q, want %q", e.line, p.got, e.text)
				p.changed.Broadcast()
				return
			}
			if n < len(e.text) {
				p.changed.Broadcast()
				return
			}
			p.got = p.got[n:]
		}
		p.list = p.list[1:]
	}
	if len(p.list) == 0 && len(p.got) > 0 && p.err == nil {
		p.err = fmt.Errorf("after the end the driver wrote %q", p.got)
	}
	p.changed.Broadcast()
}

func (p *player) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.out) == 0 && !p.closed {
		p.changed.Wait()
	}
	if p.closed {
		return 0, io.EOF
	}
	n := copy(b, p.out[:p.cut(len(p.out))])
	p.out = p.out[n:]
	p.changed.Broadcast()
	return n, nil
}

func (p *player) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, io.ErrClosedPipe
	}
	p.got = append(p.got, b...)
	p.advance()
	return len(b), nil
}

func (p *player) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
	return nil
}

// over reports what is left, once the program has done its part.
func (p *player) over() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
		return p.err
	case len(p.list) > 0:
		return fmt.Errorf("%s: not reached: %s %q", p.list[0].line, p.list[0].kind, p.list[0].text)
	}
	return nil
}
