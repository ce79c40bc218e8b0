package agent

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// steady is how long a source runs until it counts as standing: one that can't listen fails at once.
const steady = 250 * time.Millisecond

// roster knows which sources stand.
type roster struct {
	mu     sync.Mutex
	down   map[string]error // failed, and started again later
	rising map[string]bool  // not yet standing for the first time
	stand  chan struct{}    // closed when all have stood once
}

func newRoster(sources []Source) *roster {
	r := &roster{down: make(map[string]error), rising: make(map[string]bool), stand: make(chan struct{})}
	for _, s := range sources {
		r.rising[s.Name] = true
	}
	if len(r.rising) == 0 {
		close(r.stand)
	}
	return r
}

func (r *roster) stood(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.down, name)
	if !r.rising[name] {
		return
	}
	if delete(r.rising, name); len(r.rising) == 0 {
		close(r.stand)
	}
}

func (r *roster) fell(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[name] = err
}

// fault says which sources are down and why; "": none.
func (r *roster) fault() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(r.down)) {
		list = append(list, name+": "+plain(r.down[name]))
	}
	return strings.Join(list, "; ")
}

// plain is the text of an error without the name of the package that made it.
func plain(err error) string {
	if err == nil {
		return "it ended"
	}
	text := err.Error()
	for _, prefix := range []string{"source: ", "web: ", "control: ", "queue: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// Standing waits until every source has started, and takes readings in or serves, or ctx ends.
func (a *Agent) Standing(ctx context.Context) error {
	select {
	case <-a.roster.stand:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
