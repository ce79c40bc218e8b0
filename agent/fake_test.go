package agent_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// link is a way to the broker that a test opens and breaks at will.
type link struct {
	steps    []agent.Step
	connect  func(ctx context.Context, resume []agent.Resume, report agent.Report) (agent.Session, error)
	attempts chan int // receives the number of each attempt

	mu sync.Mutex
	n  int
}

func newLink() *link {
	return &link{steps: []agent.Step{agent.StepSIM, agent.StepRegistration, agent.StepTCP, agent.StepMQTT}, attempts: make(chan int, 100)}
}

func (l *link) Steps() []agent.Step { return l.steps }

func (l *link) Connect(ctx context.Context, resume []agent.Resume, report agent.Report) (agent.Session, error) {
	l.mu.Lock()
	l.n++
	n := l.n
	l.mu.Unlock()
	l.attempts <- n
	return l.connect(ctx, resume, report)
}

func (l *link) Broker() string              { return "mqtt://broker.example" }
func (l *link) Release() string             { return "proof" }
func (l *link) Status() *agent.ModemStatus  { return nil }
func (l *link) Close(context.Context) error { return nil }

// session records what is published; the test decides the fate of each message.
type session struct {
	published chan *receipt
	resumed   []agent.Receipt
	done      chan struct{}
	until     time.Time
	settled   chan struct{} // nil: at once

	mu   sync.Mutex
	err  error
	open []*receipt
}

func newSession() *session {
	return &session{published: make(chan *receipt, 1000), done: make(chan struct{})}
}

var errLost = &agent.LinkError{Cause: agent.CauseLost, Err: errors.New("the connection was lost")}

var errHungUp = &agent.LinkError{Cause: agent.CauseLost, HungUp: true, Err: errors.New("connection reset by peer")}

func (s *session) Publish(ctx context.Context, p agent.Parcel) (agent.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &receipt{message: p.Message, more: p.More, done: make(chan struct{})}
	s.mu.Lock()
	err := s.err
	s.open = append(s.open, r)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s.published <- r
	return r, nil
}

func (s *session) Resumed() []agent.Receipt { return s.resumed }
func (s *session) Done() <-chan struct{}    { return s.done }
func (s *session) Settled() <-chan struct{} {
	if s.settled == nil {
		return closed()
	}
	return s.settled
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func (s *session) Until() time.Time         { return s.until }
func (s *session) Bytes() (up, down uint64) { return 10, 5 }

func (s *session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *session) Close(context.Context) error {
	s.end(errors.New("closed"))
	return nil
}

// end breaks the session: no open message has arrived.
func (s *session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	for _, r := range s.open {
		r.finish(err)
	}
	close(s.done)
}

type receipt struct {
	message queue.Message
	more    []uint64
	once    sync.Once
	done    chan struct{}
	err     error
}

func (r *receipt) Seq() uint64           { return r.message.Seq }
func (r *receipt) Done() <-chan struct{} { return r.done }
func (r *receipt) Err() error            { return r.err }

func (r *receipt) finish(err error) {
	r.once.Do(func() {
		r.err = err
		close(r.done)
	})
}

// run starts an agent over a queue of its own and returns it with a function that stops it and returns Run's error.
func run(t *testing.T, l *link, change func(*agent.Config)) (*agent.Agent, *queue.Queue, func() error) {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	cfg := agent.Config{Device: "pump-07", Queue: q, Link: l, Log: zerolog.Nop(),
		Retry: func(error, time.Duration) time.Duration { return time.Minute }}
	if change != nil {
		change(&cfg)
	}
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		err := <-ended
		return errors.Join(err, q.Close())
	})
	t.Cleanup(func() { _ = stop() })
	return a, q, stop
}

func put(t *testing.T, a *agent.Agent, topic, payload string) uint64 {
	t.Helper()
	seq, err := a.Accept(t.Context(), queue.Message{Topic: topic, QoS: 1, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}
