package source_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// sink keeps what it accepts in memory.
type sink struct {
	mu      sync.Mutex
	msgs    []queue.Message
	err     error         // returned instead of accepting
	entered chan struct{} // if set: receives a value at the start of each Accept
	gate    chan struct{} // if set: Accept waits for a value, or for the context
}

func (s *sink) Accept(ctx context.Context, msgs ...queue.Message) (uint64, error) {
	s.mu.Lock()
	entered, gate := s.entered, s.gate
	s.mu.Unlock()
	if entered != nil {
		entered <- struct{}{}
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.msgs = append(s.msgs, msgs...)
	return uint64(len(s.msgs)-len(msgs)) + 1, nil
}

func (s *sink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *sink) block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered, s.gate = make(chan struct{}, 100), make(chan struct{}, 100)
}

func (s *sink) all() []queue.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]queue.Message(nil), s.msgs...)
}

// take empties the sink.
func (s *sink) take() []queue.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	msgs := s.msgs
	s.msgs = nil
	return msgs
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// runner is what both sources are.
type runner interface {
	Name() string
	Run(context.Context) error
	Status() agent.SourceStatus
}

// start runs a source for the length of the test and returns its address.
func start(t *testing.T, s runner) (address string, stop func()) {
	t.Helper()
	before := s.Status().Address
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run: got %v, want nil after its context has ended", err)
				}
			case <-time.After(patience):
				t.Error("Run doesn't end")
			}
		})
	}
	t.Cleanup(stop)
	eventually(t, "the listener", func() bool { return s.Status().Address != before || s.Status().Error != "" })
	if e := s.Status().Error; e != "" {
		t.Fatal(e)
	}
	return s.Status().Address, stop
}

// eventually polls for what another goroutine does soon.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

var errBroken = errors.New("the disk is on fire")
