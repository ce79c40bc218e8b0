package uplink

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/fieldpost/fieldpost/agent/config"
	"github.com/fieldpost/fieldpost/gsmnet"
	"github.com/fieldpost/fieldpost/mqttconn"
)

// Endpoint is a broker's address with what MQTT needs to talk to it.
type Endpoint struct {
	Address string // host:port
	Host    string // the name that its certificate has to bear
	TLS     bool
}

// String is the broker's URL.
func (e Endpoint) String() string {
	if e.TLS {
		return "mqtts://" + e.Address
	}
	return "mqtt://" + e.Address
}

// brokers chooses among several: the one that works is kept, the next one is tried when it fails, and after a while the
// first one again. All of them are tried, each as soon as the one before has failed, before there is a longer wait.
type brokers struct {
	list        []Endpoint // at least one; the first is preferred
	returnAfter time.Duration
	shared      bool // the list is of nodes of a cluster: any of them goes on with a session

	mu       sync.Mutex
	current  int         // that works, or is tried next
	trying   int         // that was turned to last
	step     int         // from a broker to the next one: 1, or -1 for every second device of a cluster
	tried    []bool      // of the list: it has failed since one worked, or since the last wait
	barred   []time.Time // of the list: not before, since it refuses us; zero: at any time
	refusals []mqttconn.Backoff
	username string
	password string
	returnAt time.Time // when to look for the first one; zero: never
}

func newBrokers(b config.Broker) *brokers {
	all := &brokers{list: Endpoints(b), returnAfter: time.Duration(b.ReturnAfter), step: 1, username: b.Username, password: b.Password.Reveal()}
	all.tried, all.barred, all.refusals = make([]bool, len(all.list)), make([]time.Time, len(all.list)), make([]mqttconn.Backoff, len(all.list))
	return all
}

// begin makes the broker current whose address is given, if it is in the list: the one that the queue's flights were sent to
// before a restart.
func (b *brokers) begin(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, e := range b.list {
		if e.Address == address {
			b.use(i)
		}
	}
}

func (b *brokers) addresses() []string {
	var list []string
	for _, e := range b.list {
		list = append(list, e.Address)
	}
	return list
}

// spread begins with the node of a cluster that key chooses, and returns to none: a fleet with one list then meets all nodes
// alike, and each device the one that it has a TLS session with. The devices of a node that is lost part to both sides of it.
func (b *brokers) spread(key string) {
	sum := fnv.New32a()
	sum.Write([]byte(key))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.returnAfter, b.shared = 0, true
	n := uint32(len(b.list))
	b.use(int(sum.Sum32() % n))
	if sum.Sum32()/n%2 == 1 {
		b.step = -1
	}
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
	now := time.Now()
	if !b.returnAt.IsZero() && !now.Before(b.returnAt) && !now.Before(b.barred[0]) {
		return []int{0, b.current}
	}
	return []int{b.current}
}

// worked keeps the broker, and says until when it is to be used; zero: as long as it works.
func (b *brokers) worked(i int) (until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	failures := slices.Contains(b.tried, true)
	if i != b.current || failures || i > 0 && b.returnAt.IsZero() {
		b.use(i)
	}
	clear(b.tried)
	b.barred[i], b.refusals[i] = time.Time{}, mqttconn.Backoff{}
	return b.returnAt
}

// failed turns to the next broker, unless the way to all of them is missing. It tells whether that one was not tried since one
// worked, or since all have failed.
func (b *brokers) failed(i int, err error) (others bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, network := modemPaces[gsmnet.CauseOf(err)]
	if !network {
		b.bar(i, mqttconn.CauseOf(err))
	}
	if i != b.current { // the first one isn't back yet
		b.use(b.current)
		return true
	}
	if network {
		return false
	}
	return b.pass(i)
}

// bar keeps away from a broker that only a person can make take us. It is called with mu held.
func (b *brokers) bar(i int, cause mqttconn.Cause) {
	if wait := b.refusals[i].Next(cause, 0); wait >= refused {
		b.barred[i] = time.Now().Add(wait)
	}
}

// refused is the shortest wait that speaks of a broker which refuses us, rather than of one that isn't there.
const refused = 10 * time.Minute

// pass turns from the broker to the next one that doesn't refuse us, and tells whether that is a fresh one. It is called with mu held.
func (b *brokers) pass(i int) (fresh bool) {
	b.tried[i] = true
	n := len(b.list)
	next, now := i, time.Now()
	for at := (i + b.step + n) % n; at != i; at = (at + b.step + n) % n {
		if now.Before(b.barred[at]) {
			continue
		}
		if next == i || b.tried[next] && !b.tried[at] {
			next = at
		}
	}
	if next == i && now.Before(b.barred[i]) { // all refuse us: the one that is due first
		for at := range b.list {
			if b.barred[at].Before(b.barred[next]) {
				next = at
			}
		}
	}
	b.current, b.returnAt = next, time.Time{}
	if fresh = !b.tried[next] && !now.Before(b.barred[next]); !fresh {
		clear(b.tried)
	}
	return fresh
}

// goesOn turns to another node after the end of a session that stood for long, if the broker is a cluster. Any other broker is
// asked again first, after a wait that spares it: what is in flight belongs to it.
func (b *brokers) goesOn(stood time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shared && stood >= stableAfter && b.pass(b.current)
}

// admit puts other credentials in force, with which none of the brokers has refused us yet.
func (b *brokers) admit(username, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.username, b.password = username, password
	clear(b.barred)
	clear(b.refusals)
}

func (b *brokers) credentials() (username, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.username, b.password
}

// barredFor is how long all brokers are to be left alone; 0: some can be tried.
func (b *brokers) barredFor() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(slices.MinFunc(b.barred, time.Time.Compare)))
}

// turnTo makes i the broker that name tells.
func (b *brokers) turnTo(i int) Endpoint {
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
