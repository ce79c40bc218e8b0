package source

import (
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// A tally counts what one source took in, for the status.
type tally struct {
	mu     sync.Mutex
	status agent.SourceStatus // guarded by mu
}

func (t *tally) read() agent.SourceStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

func (t *tally) listening(name, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Name, t.status.Address, t.status.Error = name, address, ""
}

func (t *tally) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Error = err.Error()
}

func (t *tally) accepted(msgs []queue.Message) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Accepted += uint64(len(msgs))
	t.status.LastAt = &now
	t.status.LastTopic = msgs[len(msgs)-1].Topic
	t.status.Error = ""
}

func (t *tally) refused(n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Refused += uint64(n)
	t.status.Error = err.Error()
}

// healthy notes that the source works, though it had nothing to store.
func (t *tally) healthy() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Error = ""
}
