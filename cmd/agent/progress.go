package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progressEvery is how often the line is drawn anew: often enough to look alive, seldom enough for a serial console.
const progressEvery = 200 * time.Millisecond

// progress shows how far something long has come, in one colourless line that goes away. Without a terminal it shows
// nothing. A nil progress is one without a terminal.
type progress struct {
	out     io.Writer
	what    string
	total   int64 // negative: unknown
	inBytes bool

	mu    sync.Mutex
	done  int64     // guarded by mu
	drawn time.Time // guarded by mu
}

// newProgress begins a line that ends at total, or is without an end if that is negative.
func newProgress(out io.Writer, what string, total int64, inBytes bool) *progress {
	if f, ok := out.(*os.File); !ok || !isLive(f) {
		return nil
	}
	return &progress{out: out, what: what, total: total, inBytes: inBytes}
}

// at says how far it has come.
func (p *progress) at(n int64) {
	if p != nil {
		p.move(func(int64) int64 { return n })
	}
}

func (p *progress) add(n int64) { p.move(func(done int64) int64 { return done + n }) }

func (p *progress) move(to func(int64) int64) {
	p.mu.Lock()
	p.done = to(p.done)
	text, due := p.text(), time.Since(p.drawn) >= progressEvery
	if due {
		p.drawn = time.Now()
	}
	p.mu.Unlock()
	if due {
		fmt.Fprintf(p.out, "\r\x1b[2K%s", text)
	}
}

// text is called with the lock held.
func (p *progress) text() string {
	amount := func(n int64) string {
		if p.inBytes {
			return disk(uint64(max(n, 0)))
		}
		return fmt.Sprint(n)
	}
	if p.total <= 0 {
		return fmt.Sprintf("%s: %s", p.what, amount(p.done))
	}
	return fmt.Sprintf("%s: %s of %s, %d %%", p.what, amount(p.done), amount(p.total), min(100, 100*p.done/p.total))
}

// end takes the line away.
func (p *progress) end() {
	if p != nil {
		fmt.Fprint(p.out, "\r\x1b[2K")
	}
}

// bytes counts what is read.
func (p *progress) bytes(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return io.TeeReader(r, counted(func(b []byte) { p.add(int64(len(b))) }))
}

// lines counts the lines that are written.
func (p *progress) lines(w io.Writer) io.Writer {
	if p == nil {
		return w
	}
	return io.MultiWriter(w, counted(func(b []byte) { p.add(int64(bytes.Count(b, []byte("\n")))) }))
}

// counted is a writer that only looks.
type counted func([]byte)

func (c counted) Write(b []byte) (int, error) {
	c(b)
	return len(b), nil
}
