package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/queue"
)

// Config joins the parts of an agent. Queue, Link and Retry are required; the agent owns neither Queue nor Link: whoever
// made them closes them after Run.
type Config struct {
	Device   string // shown in the status
	Version  string // shown in the status
	LinkKind string // "modem" or "system", shown in the status

	Queue *queue.Queue
	Link  Link
	// Retry says how long to wait before the next attempt, after err ended an attempt (stood is 0) or a session that
	// had stood for so long.
	Retry func(err error, stood time.Duration) time.Duration
	// Hold is how long to wait before the first attempt, and HoldWhy what the status says meanwhile. A kick ends the wait.
	Hold    time.Duration
	HoldWhy string
	// Account counts the bytes on the air and holds them against the budget; nil: nobody counts.
	Account *Account
	// Certificate says what is wrong, or soon will be, with the certificate that is shown to the broker; nil: there is none.
	Certificate func() string
	// Keepalive says how long the connection may be silent; nil: it isn't shown.
	Keepalive func() *KeepaliveStatus
	// Sources run beside delivery; one that fails is shown, logged and started again.
	Sources []Source
	// Check refuses a message before it is stored; nil accepts everything that the queue takes.
	Check func(queue.Message) error
	Log   zerolog.Logger
	// Presence is published at each connection; without a topic it is not.
	Presence Presence
	// Encoding is the form in which messages travel; the zero value sends them plain.
	Encoding Encoding
	// NetworkTime says what time it is by the mobile network or a time server, and which of them; the zero time when
	// neither has told it. It must not block. It is used while the machine's own clock isn't known to be right. nil: there is none.
	NetworkTime func() (now time.Time, source string)

	// MachineTime is the machine's wall clock at the moment now, and how far it is to be believed; nil: the kernel is asked.
	MachineTime func(now time.Time) (wall time.Time, trust queue.Trust)

	// PoisonAfter is how often the broker has to end the connection at a message until that is taken for poison; 0: never.
	PoisonAfter int
	// StopWait is how long after it was asked to stop an agent waits for the proof of what is in flight; 0 means 5 s. The
	// goodbye to the broker may take 1.5 s more.
	StopWait time.Duration
	// Settle is how long a source that failed rests before it is started again; 0 means 5 s.
	Settle time.Duration
}

// Source is something that runs beside delivery and usually takes readings in.
type Source struct {
	Name   string
	Run    func(context.Context) error // blocks until the context ends
	Status func() SourceStatus         // nil: it isn't shown
}

// Agent is a running agent. Its methods are safe for concurrent use.
type Agent struct {
	cfg      Config
	board    *board
	roster   *roster
	presence *presence
	packer   *packer // of the goroutine that supervises the link
	started  time.Time
	kick     chan struct{}             // capacity 1: cuts a wait between two attempts short
	part     chan struct{}             // capacity 1: ends a session that stands
	asked    atomic.Pointer[time.Time] // to stop; nil: not yet
	forNet   atomic.Bool               // the wait, if there is one, ends when the network is back

	trials map[uint64]*trial // by sequence; supervising goroutine only
	// wary says that the broker has ended a session instead of answering what it was asked or told; likewise.
	wary bool
	// stubborn counts the sessions that have died of freeing a packet id, by the sequence of its flight; supervising goroutine only.
	stubborn map[uint64]int
}

// New makes an agent; it does nothing before Run.
func New(cfg Config) (*Agent, error) {
	if cfg.Queue == nil || cfg.Link == nil || cfg.Retry == nil {
		return nil, errors.New("agent: Queue, Link and Retry are required")
	}
	if cfg.StopWait <= 0 {
		cfg.StopWait = 5 * time.Second
	}
	if cfg.Settle <= 0 {
		cfg.Settle = 5 * time.Second
	}
	if cfg.Encoding = cfg.Encoding.withDefaults(); cfg.Encoding.Format == FormatBatch && cfg.Encoding.Topic == "" {
		return nil, errors.New("agent: batches need a topic")
	}
	now := time.Now()
	return &Agent{
		cfg:      cfg,
		packer:   newPacker(cfg.Encoding, cfg.Device),
		board:    newBoard(cfg.Link.Steps(), now),
		roster:   newRoster(cfg.Sources),
		presence: newPresence(cfg.Presence),
		started:  now,
		kick:     make(chan struct{}, 1),
		part:     make(chan struct{}, 1),
		trials:   make(map[uint64]*trial),
	}, nil
}

// Run takes readings in and delivers until ctx ends, and returns nil then. Sources stop first, so that nothing is
// accepted any more while the last proofs come in. An error means that the storage has failed: nothing can be promised any
// more, and the process should end and start anew.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-a.cfg.Queue.Done():
			cancel(a.cfg.Queue.Err())
		case <-ctx.Done():
		}
	}()

	var sources sync.WaitGroup
	for _, s := range a.cfg.Sources {
		sources.Go(func() { a.keepRunning(ctx, s) })
	}
	linkCtx, stopLink := context.WithCancel(context.WithoutCancel(ctx))
	var link sync.WaitGroup
	link.Go(func() { a.supervise(linkCtx) })
	link.Go(func() { a.heartbeat(linkCtx) })
	link.Go(func() { a.keepAccount(linkCtx) })
	link.Go(func() { a.watchClock(linkCtx) })

	<-ctx.Done()
	now := time.Now()
	a.asked.Store(&now)
	sources.Wait()
	stopLink()
	link.Wait()
	if err := a.cfg.Queue.Err(); err != nil {
		return fmt.Errorf("agent: the storage has failed, nothing more is accepted: %w", err)
	}
	return nil
}

// keepRunning starts a source again and again until ctx ends.
func (a *Agent) keepRunning(ctx context.Context, s Source) {
	log := a.cfg.Log.With().Str("source", s.Name).Logger()
	for ctx.Err() == nil {
		stands := time.AfterFunc(steady, func() { a.roster.stood(s.Name) })
		err := s.Run(ctx)
		stands.Stop()
		if ctx.Err() != nil {
			return
		}
		a.roster.fell(s.Name, err)
		log.Error().Err(err).Stringer("again_in", a.cfg.Settle).Msg("source failed")
		sleep(ctx, a.cfg.Settle)
	}
}

// heartbeat says every ten minutes where things stand, so that no state lasts without a trace in the log.
func (a *Agent) heartbeat(ctx context.Context) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			st := a.Status()
			a.cfg.Log.Info().Str("verdict", string(st.Verdict)).Uint64("waiting", st.Queue.Messages).
				Uint64("delivered", st.Delivery.Delivered).Msg(st.Reason)
		case <-ctx.Done():
			return
		}
	}
}

// Kick ends the wait before the next attempt of the link, if there is one.
func (a *Agent) Kick() { signal(a.kick) }

// Reconnect makes the link connect now, whatever stands: it ends the wait before the next attempt, or parts from the broker
// and connects again.
func (a *Agent) Reconnect() {
	signal(a.kick)
	signal(a.part)
}

// Flush has what is gathered for a batch go out without waiting for more: with the next message of the alarm lane at the latest,
// such as the answer to whoever asks for it.
func (a *Agent) Flush() { a.packer.flush.Store(time.Now().UnixNano()) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Status returns how things stand now.
func (a *Agent) Status() Status {
	st := Status{
		Schema:    StatusSchema,
		Version:   a.cfg.Version,
		Device:    a.cfg.Device,
		Running:   true,
		Time:      time.Now(),
		StartedAt: &a.started,
		Queue:     QueueStatusOf(a.cfg.Queue),
		Sources:   []SourceStatus{},
	}
	st.Link.Kind, st.Link.Broker = a.cfg.LinkKind, a.cfg.Link.Broker()
	st.Link.Release, st.Link.Modem = a.cfg.Link.Release(), a.cfg.Link.Status()
	if a.cfg.Certificate != nil {
		st.Link.Certificate = a.cfg.Certificate()
	}
	if a.cfg.Keepalive != nil {
		st.Link.Keepalive = a.cfg.Keepalive()
	}
	st.Presence = a.presence.snapshot()
	for _, s := range a.cfg.Sources {
		if s.Status != nil {
			st.Sources = append(st.Sources, s.Status())
		}
	}
	if a.cfg.Account != nil {
		st.Usage = a.cfg.Account.status(st.Time)
	}
	a.forgetPassed()
	a.board.fill(&st)
	for _, s := range st.Sources {
		st.Delivery.Refused += s.Refused
	}
	if fault := a.roster.fault(); fault != "" {
		if st.Verdict == VerdictOK {
			st.Verdict = VerdictBlocked
		}
		st.Reason = join(fault, st.Reason)
	}
	if why := passedReason(st.Delivery.PassedOver, st.Time); why != "" {
		st.Reason = join(st.Reason, why)
	}
	if why := st.Queue.Refusing; why != "" && st.Queue.Error == "" {
		st.Verdict, st.Reason = VerdictBlocked, join("readings are refused: "+why, st.Reason)
	}
	st.Encoding.Format = a.cfg.Encoding.Format
	if d := a.cfg.Encoding.Dictionary; d != nil {
		st.Encoding.Dictionary = d.ID().String()
	}
	return st
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
