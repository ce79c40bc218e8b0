package downlink_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/downlink"
	"github.com/fieldpost/fieldpost/queue"
)

// store is a disk that outlives the agents of a test.
type store struct {
	mu      sync.Mutex
	cursor  []byte
	answers []queue.Message
	err     error // of the next commits
}

func (s *store) AcceptAt(_ context.Context, c queue.Cursor, msgs ...queue.Message) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	if len(c.Value) > 4096 {
		return 0, errors.New("cursor too large")
	}
	s.cursor = slices.Clone(c.Value)
	s.answers = append(s.answers, msgs...)
	return 1, nil
}

func (s *store) Cursor(string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.cursor), nil
}

func (s *store) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// short lists the answers as "id ok" or "id code".
func (s *store) short(t *testing.T) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []string{}
	for _, m := range s.answers {
		var a downlink.Answer
		if err := json.Unmarshal(m.Payload, &a); err != nil {
			t.Fatal(err)
		}
		if (a.Code == "") != a.OK || (a.Error == "") != a.OK {
			t.Errorf("the answer says yes and no: %s", m.Payload)
		}
		if a.OK {
			a.Code = "ok"
		}
		list = append(list, a.ID+" "+a.Code)
	}
	return list
}

// life is one process that runs a downlink.
type life struct {
	*downlink.Downlink
	t    *testing.T
	stop func()
}

// start begins a process; stop ends it as SIGTERM does.
func start(t *testing.T, s *store, change func(*downlink.Config)) *life {
	t.Helper()
	cfg := downlink.Config{
		Topic: "pump-07/cmd", Answer: "pump-07/answer", Store: s, Log: zerolog.Nop(),
		Settings: downlink.Settings{Allow: []string{"status", "restart-module", downlink.AllowForward}, Rate: 100},
	}
	if change != nil {
		change(&cfg)
	}
	d, err := downlink.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	l := &life{d, t, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(l.stop)
	return l
}

// get hands a command over as the session does, and waits until all is at rest.
func (l *life) get(name, payload string) {
	l.t.Helper()
	if err := l.Handle(l.t.Context(), downlink.Message{Topic: "pump-07/cmd/" + name, Payload: []byte(payload)}); err != nil {
		l.t.Errorf("%s %s: %v", name, payload, err)
	}
	synctest.Wait()
}

// action counts how often it is carried out.
type action struct {
	mu   sync.Mutex
	runs int
	args []string
	hold chan struct{} // nil: it ends at once
	err  error
}

func (a *action) run(ctx context.Context, args json.RawMessage) (any, error) {
	a.mu.Lock()
	a.runs++
	a.args = append(a.args, string(args))
	a.mu.Unlock()
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return map[string]int{"n": a.runs}, a.err
}

func (a *action) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.runs
}

// with lets a configuration carry out actions by name.
func with(once bool, actions map[string]*action) func(*downlink.Config) {
	return func(c *downlink.Config) {
		c.Actions = make(map[string]downlink.Action)
		for name, a := range actions {
			c.Actions[name] = downlink.Action{Run: a.run, Once: once}
		}
	}
}
