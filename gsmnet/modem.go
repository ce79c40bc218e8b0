package gsmnet

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

// Modem is one module on one port. All its methods may be called concurrently.
type Modem struct {
	cfg  Config             // set once in Open
	port io.ReadWriteCloser // set once in Open
	d    *at.Dialogue       // owner goroutine only, but for Stop and Wait

	ops  chan *op      // bring-up and dial: one after the other
	cmds chan *op      // short commands, also while an op waits for the network
	wake chan struct{} // a Conn has something to do; capacity 1
	quit chan struct{} // closed by Close
	once sync.Once     // of quit
	done chan struct{} // closed when the owner has ended

	lingerBy atomic.Pointer[time.Time] // set by Shutdown: when nothing lingers any more

	mu    sync.Mutex // never held across anything that blocks
	state State      // guarded by mu
	alarm alarm      // guarded by mu
	stats Stats      // guarded by mu
	err   error      // guarded by mu: why done was closed

	owner owner // owner goroutine only
}

// owner is what the owning goroutine knows of the module.
type owner struct {
	sock *socket // the connection, nil if none

	boots      int       // how often the module was seen to start or switch off
	found      int       // boots when it was last synchronised
	synced     bool      // it answers, at our speed
	configured bool      // the settings that hold until a reset are made
	prepared   bool      // the settings that belong to the context are made
	contextUp  bool      // there is an address
	leftOpen   bool      // a connection was given up without closing it in the module
	regApp     time.Time // when AT+QIREGAPP was taken, zero when it was not
	deactFirst bool      // the context was lost: AT+QIDEACT comes first
	names      int       // what QIDNSIP is: 1 names, 0 addresses, -1 unknown
	mayEcho    bool      // QISDE=0 was not confirmed
	activation int       // failed activations in a row
	stat       int       // the last registration state, -1 unknown
	netAt      time.Time // when registration and GPRS were last seen
	radio      radioCycles
	boot       bootStorm
	address    string
	fatal      error // the port is gone
	memory     memory
	restartFor string    // why the module should be restarted; "": it should not
	restarted  time.Time // when this program restarted it last
	unended    bool      // because a command has not ended, that is: nothing can be asked before
	data       dataMode
	clock      networkClock
	refused    map[string]bool // the settings that were refused, and made us drop the context
	lacks      lacks
	noSIM      bool // there was none when it was last asked for
}

// Stats counts what has happened since Open.
type Stats struct {
	BytesOut, BytesIn uint64 // over the serial line
	Commands          uint64
	Sends             uint64 // AT+QISEND that ended in SEND OK
	SendFails         uint64
	Polls             uint64 // AT+QISACK
	Reads             uint64 // AT+QIRD
	PayloadOut        uint64 // bytes handed to the module's TCP
	PayloadIn         uint64 // bytes taken from it
	Timeouts          uint64 // commands without an answer
	Resyncs           uint64
	Strays            uint64 // lines that answered nothing
	Overlong          uint64 // lines over 2 KiB
	Damaged           uint64 // blocks of data cut or stretched on the serial line
	Nonsense          uint64 // answers to AT+QISACK that can't be
	Restarts          uint64 // times the module was seen to start
	Dials             uint64 // connections opened
	Activations       uint64 // contexts brought up
	Broken            uint64 // connections given up because nothing came through
}

// op is a request to the owner.
type op struct {
	run     func() (any, error)
	result  chan outcome // capacity 1
	settled atomic.Bool  // the owner has delivered, or the caller has gone: whoever sets it decides
}

type outcome struct {
	value any
	err   error
}

// Open starts the driver on a port. It sends nothing yet. The port belongs to the Modem from now on.
func Open(port io.ReadWriteCloser, cfg Config) (*Modem, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Modem{
		cfg: cfg.withDefaults(), port: port,
		ops: make(chan *op), cmds: make(chan *op),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		state: State{Step: StepPort, Since: time.Now(), Detail: "opened, nothing asked yet"},
		owner: owner{names: -1, mayEcho: true, stat: -1},
	}
	m.owner.memory.path = cfg.StateFile
	m.d = at.New(port, at.Config{URC: m.onURC, Trace: cfg.Trace, HangTimeout: m.cfg.HangTimeout})
	go m.own() // Close waits for done
	return m, nil
}

// Up brings the module from whatever state it is in to an IP address. It returns at once when it is there already.
// The error is an *Error; State has the same one.
func (m *Modem) Up(ctx context.Context) error {
	_, err := m.ask(ctx, m.ops, func(ctx context.Context) (any, error) { return nil, m.up(ctx) })
	return err
}

// Down drops the context, for a pause of an hour or more (G7.2). The cause is CauseUsage while a connection is open; the next Up or
// DialContext brings the context up again.
func (m *Modem) Down(ctx context.Context) error {
	_, err := m.ask(ctx, m.ops, func(ctx context.Context) (any, error) { return nil, m.down(ctx) })
	return err
}

// DialContext opens the connection, after Up if that is needed. network is "tcp", "tcp4", "udp" or "udp4"; address is host:port
// with an IPv4 address or a name, which the module resolves. The net.Conn is a *Conn. Only one can be open: the cause for a
// second is CauseUsage.
func (m *Modem) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	t, err := parseTarget(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &Error{CauseUsage, "dial", err}}
	}
	v, err := m.ask(ctx, m.ops, func(ctx context.Context) (any, error) { return m.dial(ctx, t) })
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: t.addr(), Err: err}
	}
	return v.(*Conn), nil
}

// Command sends one AT command beside the running traffic and returns its lines, without the OK. What would disturb the driver
// is refused. A refusal by the module is an *at.Error. While it runs nothing else can, for a minute at most (G9.2).
func (m *Modem) Command(ctx context.Context, line string) ([]string, error) {
	if err := checkCommand(line); err != nil {
		return nil, &Error{CauseUsage, "command", err}
	}
	v, err := m.ask(ctx, m.cmds, func(context.Context) (any, error) { return m.command(line) })
	if err != nil {
		return nil, err
	}
	return v.([]string), nil
}

// Stats returns the counts so far.
func (m *Modem) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Done is closed when the Modem has come to its end: after Close, or because the port is gone.
func (m *Modem) Done() <-chan struct{} { return m.done }

// Err says why Done was closed: net.ErrClosed after Close. Before that it is nil.
func (m *Modem) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// closeLimit bounds how long Close waits for a port that does not come back: the data that lingers may take Config.Linger first.
const closeLimit = 5 * time.Second

// Close closes the connection if there is one, as a local close does, then the port. It takes Config.Linger and a few seconds
// at most, however stuck the port is.
func (m *Modem) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.Linger+closeLimit)
	defer cancel()
	return m.close(ctx, closeLimit)
}

// Shutdown is Close for a process that has to end: what lingers is given up so early that the connection can still be closed
// before ctx ends, and whatever the module owes then isn't waited for. It takes at most a second longer than ctx.
func (m *Modem) Shutdown(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok {
		end = end.Add(-shutTime)
		m.lingerBy.Store(&end)
	}
	return m.close(ctx, time.Second)
}

// shutTime is what QICLOSE and its answer get of a Shutdown.
const shutTime = 1500 * time.Millisecond

// close waits for the owner until ctx ends, and for the port up to patience after that.
func (m *Modem) close(ctx context.Context, patience time.Duration) error {
	m.once.Do(func() { close(m.quit) })
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
	}
	m.d.Stop() // the owner gives up whatever it waits for
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-m.done:
		return nil
	case <-limit.C:
		return &Error{CausePort, "close", errors.New("the serial port does not close; it is left to the system")}
	}
}

// ask hands a request to the owner and waits for its answer, or until ctx or the Modem ends. A released caller leaves the wire
// alone: the owner finishes what it has begun. The context that run gets ends also when the Modem is closed.
func (m *Modem) ask(ctx context.Context, to chan<- *op, run func(context.Context) (any, error)) (any, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &op{run: func() (any, error) { return run(inner) }, result: make(chan outcome, 1)}
	quit := m.quit
	select {
	case to <- o:
	case <-ctx.Done():
		return nil, &Error{m.State().cause(), "wait for the module", ctx.Err()}
	case <-quit:
		return nil, m.gone()
	case <-m.done:
		return nil, m.gone()
	}
	for {
		select {
		case r := <-o.result:
			return r.value, r.err
		case <-ctx.Done():
			if o.settled.CompareAndSwap(false, true) {
				s := m.State()
				return nil, &Error{s.cause(), s.Detail, ctx.Err()}
			}
			r := <-o.result // it came at the same moment
			return r.value, r.err
		case <-quit:
			cancel()
			quit = nil
		case <-m.done:
			select {
			case r := <-o.result:
				return r.value, r.err
			default:
				return nil, m.gone()
			}
		}
	}
}

// serve runs a request and delivers its result. It reports false if the caller has gone.
func (m *Modem) serve(o *op) (outcome, bool) {
	if o.settled.Load() {
		return outcome{}, true // gone before it began
	}
	v, err := o.run()
	r := outcome{v, err}
	if !o.settled.CompareAndSwap(false, true) {
		return r, false
	}
	o.result <- r
	return r, true
}

func (m *Modem) gone() error {
	err := m.Err()
	if err == nil {
		err = net.ErrClosed
	}
	return &Error{CausePort, "use the module", err}
}

// poke wakes the owner.
func (m *Modem) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
