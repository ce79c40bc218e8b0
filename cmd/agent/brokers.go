package main

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
)

// endpoint is a broker's address with what MQTT needs to talk to it.
type endpoint struct {
	address string // host:port
	host    string // the name that its certificate has to bear
	tls     bool
}

func (e endpoint) String() string {
	if e.tls {
		return "mqtts://" + e.address
	}
	return "mqtt://" + e.address
}

// brokers chooses among several: the one that works is kept, the next one is tried when it fails, and after a while the
// first one again.
type brokers struct {
	list        []endpoint // at least one; the first is preferred
	returnAfter time.Duration

	mu       sync.Mutex
	current  int       // that works, or is tried next
	trying   int       // that was turned to last
	failures int       // in a row
	returnAt time.Time // when to look for the first one; zero: never
}

func newBrokers(b config.Broker) *brokers {
	all := &brokers{returnAfter: time.Duration(b.ReturnAfter)}
	for _, e := range b.Endpoints() {
		all.list = append(all.list, endpoint{address: e.Address(), host: e.Host, tls: e.TLS})
	}
	return all
}

// begin makes the broker current whose address is given, if it is in the list: the one that the queue's flights were sent to
// before a restart.
func (b *brokers) begin(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, e := range b.list {
		if e.address == address {
			b.use(i)
		}
	}
}

func (b *brokers) addresses() []string {
	var list []string
	for _, e := range b.list {
		list = append(list, e.address)
	}
	return list
}

// spread begins with the node of a cluster that key chooses, and returns to none: a fleet with one list then meets all nodes
// alike, and each device the one that it has a TLS session with.
func (b *brokers) spread(key string) {
	sum := fnv.New32a()
	sum.Write([]byte(key))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.returnAfter = 0
	b.use(int(sum.Sum32() % uint32(len(b.list))))
}

// use is called with mu held.
func (b *brokers) use(i int) {
	b.current, b.trying, b.returnAt = i, i, time.Time{}
	if i > 0 && b.returnAfter > 0 {
		// A fleet that lost its broker at one moment doesn't return to it at one moment.
		b.returnAt = time.Now().Add(b.returnAfter + rand.N(b.returnAfter/4+1))
	}
}

// turns lists the brokers that one attempt tries, one after the other: the current one, and before it the first one when it is
// time to return.
func (b *brokers) turns() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.returnAt.IsZero() && !time.Now().Before(b.returnAt) {
		return []int{0, b.current}
	}
	return []int{b.current}
}

// worked keeps the broker, and says until when it is to be used; zero: as long as it works.
func (b *brokers) worked(i int) (until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i != b.current || b.failures > 0 || i > 0 && b.returnAt.IsZero() {
		b.use(i)
	}
	b.failures = 0
	return b.returnAt
}

// failed turns to the next broker, unless the way to all of them is missing. It tells whether there are some that were not
// tried since one worked.
func (b *brokers) failed(i int, err error) (others bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i != b.current { // the first one isn't back yet
		b.use(b.current)
		return true
	}
	if _, network := modemPaces[gsmnet.CauseOf(err)]; network {
		return false
	}
	b.failures++
	b.current, b.returnAt = (i+1)%len(b.list), time.Time{}
	return b.failures < len(b.list)
}

// turnTo makes i the broker that name tells.
func (b *brokers) turnTo(i int) endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = i
	return b.list[i]
}

// name is the URL of the broker that is used or tried.
func (b *brokers) name() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list[b.trying].String()
}
