package at

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// Config adjusts a Dialogue.
type Config struct {
	// URC gets every token that answers no command, in order, on the owner's goroutine. It must not block and must not call
	// the Dialogue. Required.
	URC func(Token)
	// WriteTimeout is how long one write may take before the port counts as stuck. 0: 30 s, twice what a full segment takes
	// at 1200 baud.
	WriteTimeout time.Duration
	// HangTimeout is how long Resync asks a module that answers nothing before it gives up. 0: 60 s (G9.2).
	HangTimeout time.Duration
	// Trace gets a copy of what goes out (true) and comes in (false). It is called from two goroutines. nil: nothing.
	Trace func(out bool, p []byte)
}

// Stats counts what should not happen.
type Stats struct {
	Strays   uint64 // lines that answered nothing and are no known URC
	Overlong uint64 // lines over maxLine
	Timeouts uint64
	Resyncs  uint64
	Damaged  uint64
	BytesOut uint64
	BytesIn  uint64
	Commands uint64
}

// trailing is how long a line is waited for that may still follow a finished reply. Modules print both within one scheduling
// tick; the vendor's own layer allows 300 ms for a whole answer.
const trailing = 300 * time.Millisecond

// Dialogue is one AT dialogue over one port. See the package comment for who may call what.
type Dialogue struct {
	cfg  Config
	port io.ReadWriter

	mu    sync.Mutex    // held for computing only
	scan  Scanner       // guarded by mu
	queue []Token       // guarded by mu: what came and was not taken yet, in the order of the wire
	ended bool          // guarded by mu: nothing more comes
	ready chan struct{} // capacity 1: full while queue is not empty; closed with ended

	writes  chan []byte   // owner to writer
	wrote   chan error    // writer to owner, one for each of writes
	quit    chan struct{} // closed by Stop
	stop    sync.Once
	movers  sync.WaitGroup // the reader and the writer
	portErr error          // set before ended

	// The rest belongs to the owner.
	pending  *Command
	came     []string        // the first lines that the command under way has not taken
	dirty    bool            // an answer may still be on its way
	doubted  map[string]bool // the probes that were answered without their line once
	mute     map[string]bool // and those twice
	late     string          // the command whose answer may still come: no probe asks the same
	failed   error
	promised int    // bytes that the module may still wait for
	owed     []byte // the payload that it was promised, while its prompt has not come
	freeForm bool   // and they end with Ctrl-Z, not by count
	echoed   bool
	stats    Stats
}

// New starts a dialogue. The port is closed by the caller, after Stop.
func New(port io.ReadWriter, cfg Config) *Dialogue {
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 30 * time.Second
	}
	if cfg.HangTimeout == 0 {
		cfg.HangTimeout = 60 * time.Second
	}
	d := &Dialogue{
		cfg: cfg, port: port,
		ready:  make(chan struct{}, 1),
		writes: make(chan []byte), wrote: make(chan error, 1),
		quit: make(chan struct{}),
	}
	d.movers.Add(2)
	go d.read()
	go d.write()
	return d
}

// Stop makes every call return ErrClosed. It may be called from any goroutine, more than once.
func (d *Dialogue) Stop() { d.stop.Do(func() { close(d.quit) }) }

// Wait blocks until the goroutines have ended: after Stop and after the port's Read and Write have returned.
func (d *Dialogue) Wait() { d.movers.Wait() }

// Ready is what the owner waits for between commands: it has something whenever there is something to Drain, also what has come
// together with the reply of the last command, and is closed when the port has ended.
func (d *Dialogue) Ready() <-chan struct{} { return d.ready }

// Stats is for the owner; it copies.
func (d *Dialogue) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Overlong = d.scan.Dropped()
	return s
}

// Err is why the port has ended, once Drain has returned false.
func (d *Dialogue) Err() error { return d.failed }

// Dirty reports whether an answer may still be on its way, so that the next command will resynchronise first.
func (d *Dialogue) Dirty() bool { return d.dirty }

// Distrust makes the next command resynchronise first: the owner has seen something that can't be.
func (d *Dialogue) Distrust() { d.dirty = true }

// read turns bytes into tokens until the port ends. It never waits for the owner, who may be waiting for the port to take bytes.
func (d *Dialogue) read() {
	defer d.movers.Done()
	buf := make([]byte, 2048)
	for {
		n, err := d.port.Read(buf)
		if n > 0 {
			if d.cfg.Trace != nil {
				d.cfg.Trace(false, buf[:n])
			}
			d.arrived(buf[:n])
		}
		select {
		case <-d.quit:
			err = ErrClosed
		default:
		}
		if err != nil {
			d.mu.Lock()
			d.portErr, d.ended = err, true
			close(d.ready)
			d.mu.Unlock()
			return
		}
	}
}

func (d *Dialogue) arrived(p []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scan.Scan(p, func(t Token) { d.queue = append(d.queue, t) })
	d.stats.BytesIn += uint64(len(p))
	d.announce()
}

// announce is called with mu held.
func (d *Dialogue) announce() {
	if d.ended || len(d.queue) == 0 {
		return
	}
	select {
	case d.ready <- struct{}{}:
	default:
	}
}

// take removes the next token, if there is one. What stays behind it is announced again, for whoever waits next. ended says that there
// is none and will be none.
func (d *Dialogue) take() (t Token, ok, ended bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		d.queue = nil
		return Token{}, false, d.ended
	}
	t, d.queue = d.queue[0], d.queue[1:]
	d.announce()
	return t, true, false
}

// write moves what the owner hands over, one piece at a time.
func (d *Dialogue) write() {
	defer d.movers.Done()
	for {
		select {
		case p := <-d.writes:
			if d.cfg.Trace != nil {
				d.cfg.Trace(true, p)
			}
			n, err := d.port.Write(p)
			if err == nil && n < len(p) {
				err = io.ErrShortWrite
			}
			d.wrote <- err
		case <-d.quit:
			return
		}
	}
}

// put writes p and returns when the port has taken it.
func (d *Dialogue) put(p []byte) error {
	if d.failed != nil {
		return d.failed
	}
	limit := time.NewTimer(d.cfg.WriteTimeout)
	defer limit.Stop()
	select {
	case d.writes <- p: // the writer is idle: put always waits for it
	case <-d.quit:
		return ErrClosed
	}
	select {
	case err := <-d.wrote:
		d.stats.BytesOut += uint64(len(p))
		if err != nil {
			return d.fail(&PortError{err})
		}
		return nil
	case <-limit.C:
		return d.fail(&PortError{ErrStuck})
	case <-d.quit:
		return ErrClosed
	}
}

func (d *Dialogue) fail(err error) error {
	if d.failed == nil {
		d.failed = err
	}
	return d.failed
}

// next waits for the next token, in the order of the wire.
func (d *Dialogue) next(limit <-chan time.Time, cancel <-chan struct{}) (Token, error) {
	for {
		switch t, ok, ended := d.take(); {
		case ok:
			return t, nil
		case ended:
			return Token{}, d.end()
		}
		select {
		case <-d.ready:
		case <-limit:
			return Token{}, ErrTimeout
		case <-cancel:
			return Token{}, errCancelled
		case <-d.quit:
			return Token{}, ErrClosed
		}
	}
}

// end is called when the port has ended and everything was taken.
func (d *Dialogue) end() error {
	if errors.Is(d.portErr, ErrClosed) {
		return ErrClosed
	}
	return d.fail(&PortError{d.portErr})
}

// handle takes a token that answers nothing.
func (d *Dialogue) handle(t Token) {
	if t.Kind == Line && d.pending != nil {
		d.noteCame(t.Text)
	}
	switch {
	case t.Kind == Whole:
	case t.Kind == Line && !Unsolicited(t.Text):
		d.stats.Strays++
	case t.Kind == Prompt:
		// A prompt that nobody asked for: the module waits for bytes of a send that was given up.
		d.stats.Strays++
		d.dirty, d.promised = true, max(d.promised, 1)
	case t.Kind == Damage:
		d.stats.Damaged++
		d.dirty = true
		d.cfg.URC(t)
	default:
		if t.Kind == Line && ends(t.Text) {
			d.dirty, d.promised = true, 0
		}
		d.cfg.URC(t)
	}
}

// noteCame keeps a line for the text of a TimeoutError.
func (d *Dialogue) noteCame(line string) {
	const enough = 3
	if len(d.came) < enough {
		d.came = append(d.came, shown(line))
	}
}

// EchoSeen reports whether the module has sent a command back since the last call (ATE1).
func (d *Dialogue) EchoSeen() bool {
	seen := d.echoed
	d.echoed = false
	return seen
}

// isEcho recognises the command that the module sends back (ATE1, the state after each reset).
func (d *Dialogue) isEcho(line, command string) bool {
	if command == "" || !strings.HasSuffix(strings.ToUpper(line), strings.ToUpper(command)) {
		return false
	}
	d.echoed = true
	return true
}

// Drain hands what has already arrived to Config.URC, without waiting. It reports whether the port still lives.
func (d *Dialogue) Drain() bool {
	for {
		t, ok, ended := d.take()
		switch {
		case ok:
			d.handle(t)
		case ended:
			d.end()
			return false
		default:
			return d.failed == nil
		}
	}
}
