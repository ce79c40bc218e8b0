package source

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/queue"
)

// shownValue is how many bytes of a payload the status shows: a number, or the beginning of an object.
const shownValue = 80

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
	last := msgs[len(msgs)-1]
	t.status.LastTopic, t.status.LastValue = last.Topic, valueOf(last.Payload)
	t.status.Error = ""
}

func (t *tally) refused(n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Refused += uint64(n)
	t.status.Error = err.Error()
}

// slowed notes messages that came too fast: they had to wait, or to be sent again.
func (t *tally) slowed(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Slowed += uint64(n)
}

// healthy notes that the source works, though it had nothing to store.
func (t *tally) healthy() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status.Error = ""
}

// valueOf is a payload as the status shows it.
func valueOf(payload []byte) string {
	if !utf8.Valid(payload) {
		return fmt.Sprintf("%d bytes that are no text", len(payload))
	}
	if len(payload) <= shownValue {
		return string(payload)
	}
	return strings.ToValidUTF8(string(payload[:shownValue]), "") + "…" // the cut may be within a character
}
