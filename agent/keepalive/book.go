package keepalive

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/keep"
)

// mostNetworks bounds what a box that travels remembers; the networks that were not used for the longest time go first.
const mostNetworks = 32

// entry is a network in the file.
type entry struct {
	State
	Used time.Time `json:"used"`
}

// Book keeps a learner for each network.
type Book struct {
	path   string
	limits Limits

	mu       sync.Mutex
	learners map[string]*Learner
	used     map[string]time.Time
	changed  bool
}

// Open reads what was remembered in the file at path; "" remembers nothing. The Book is usable also when there is an error:
// then what couldn't be read is learned anew.
func Open(path string, limits Limits) (*Book, error) {
	b := &Book{path: path, limits: limits, learners: make(map[string]*Learner), used: make(map[string]time.Time)}
	if path == "" {
		return b, nil
	}
	var file map[string]entry
	err := keep.Load(path, &file)
	for name, e := range file {
		l, wrong := Restore(limits, e.State)
		if wrong != nil {
			err = wrong
			continue
		}
		b.learners[name], b.used[name] = l, e.Used
	}
	return b, err
}

// with calls f with the learner of a network.
func (b *Book) with(network string, f func(*Learner)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.learners[network]
	if l == nil {
		l = New(b.limits)
		b.learners[network] = l
	}
	before := l.State()
	f(l)
	if l.State() != before {
		b.changed, b.used[network] = true, time.Now()
	}
}

// Interval is how long the next silence in the network may last.
func (b *Book) Interval(network string) (d time.Duration) {
	b.with(network, func(l *Learner) { d = l.Interval() })
	return d
}

// State is what is known of the network.
func (b *Book) State(network string) (s State) {
	b.with(network, func(l *Learner) { s = l.State() })
	return s
}

// Survived is [Learner.Survived] of the network.
func (b *Book) Survived(network string, d time.Duration) {
	b.with(network, func(l *Learner) { l.Survived(d) })
}

// Forgotten is [Learner.Forgotten] of the network.
func (b *Book) Forgotten(network string, d time.Duration) {
	b.with(network, func(l *Learner) { l.Forgotten(d) })
}

// Closed is [Learner.Closed] of the network.
func (b *Book) Closed(network string, d time.Duration) {
	b.with(network, func(l *Learner) { l.Closed(d) })
}

// Save writes the file if anything has changed. It blocks on the disk.
func (b *Book) Save() error {
	file, changed := b.snapshot()
	if !changed || b.path == "" {
		return nil
	}
	err := keep.Save(b.path, file)
	if err != nil { // the next time tries again
		b.mu.Lock()
		b.changed = true
		b.mu.Unlock()
	}
	return err
}

// snapshot copies what belongs into the file, and forgets the networks that are too many.
func (b *Book) snapshot() (map[string]entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.used) > mostNetworks {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(b.used)), func(x, y string) int { return b.used[x].Compare(b.used[y]) })
		delete(b.used, oldest)
		delete(b.learners, oldest)
	}
	file := make(map[string]entry)
	for name, used := range b.used {
		file[name] = entry{b.learners[name].State(), used.Truncate(time.Second)}
	}
	changed := b.changed
	b.changed = false
	return file, changed
}
