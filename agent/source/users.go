package source

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"

	"github.com/fieldpost/fieldpost/queue"
)

// Users are the MQTT clients that may log in.
type Users struct {
	byName map[string]user // set once
	slot   turn            // held while a password is hashed: one at a time, so that guessing can't take all cores
	decoy  []byte          // a hash to spend time on when the name is unknown

	mu    sync.Mutex
	lines map[string]*queueing         // guarded by mu: of addresses from which somebody waits for the slot
	known map[string][sha256.Size]byte // guarded by mu: digests of passwords that were right, by name
}

type user struct {
	hash   []byte
	prefix string // topics that may be published; "": all
}

// maxCost is a bcrypt cost that a small board still computes within the time
// that a client has for its login.
const maxCost = 12

// LoadUsers reads a file of users; see [ParseUsers].
func LoadUsers(path string) (*Users, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("source: can't read the MQTT users: %w", err)
	}
	return ParseUsers(path, data)
}

// ParseUsers reads users, one in a line as "NAME:HASH" or "NAME:HASH:PREFIX".
// The hash is bcrypt's, as "htpasswd -nB NAME" writes it. With a prefix the
// user may publish to that topic and below it, else to any. Empty lines and
// lines that begin with # are skipped. The name of the file is for errors,
// which never quote a line.
func ParseUsers(name string, data []byte) (*Users, error) {
	u := &Users{byName: make(map[string]user), slot: make(turn, 1), lines: make(map[string]*queueing), known: make(map[string][sha256.Size]byte)}
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fail := func(what string) error { return fmt.Errorf("source: %s:%d: %s", name, line, what) }
		part := strings.SplitN(text, ":", 3)
		if len(part) < 2 || part[0] == "" {
			return nil, fail("not NAME:HASH or NAME:HASH:PREFIX; make a line with: htpasswd -nB NAME")
		}
		cost, err := bcrypt.Cost([]byte(part[1]))
		switch {
		case err != nil:
			return nil, fail("what follows the name is not a bcrypt hash; make a line with: htpasswd -nB NAME")
		case cost > maxCost:
			return nil, fail(fmt.Sprintf("the hash has cost %d, at most %d can be computed in time; make it with: htpasswd -nB -C 10 NAME", cost, maxCost))
		}
		if _, twice := u.byName[part[0]]; twice {
			return nil, fail("this user has a line already")
		}
		added := user{hash: []byte(part[1])}
		if len(part) == 3 {
			added.prefix = strings.TrimSuffix(part[2], "/")
			if queue.ValidateTopic(added.prefix) != nil {
				return nil, fail("the prefix is not a topic")
			}
		}
		u.byName[part[0]] = added
		u.decoy = added.hash
	}
	if len(u.byName) == 0 {
		return nil, fmt.Errorf("source: %s names no user, so nobody could log in; make a line with: htpasswd -nB NAME", name)
	}
	return u, nil
}

// A turn is held by as many at a time as it has room for.
type turn chan struct{}

// take waits for the turn, and returns false when gone comes first.
func (t turn) take(gone <-chan struct{}) bool {
	select {
	case t <- struct{}{}:
		return true
	case <-gone:
		return false
	}
}

func (t turn) pass() { <-t }

// queueing is what those have in common that log in from one address.
type queueing struct {
	turn
	length int // guarded by Users.mu
}

// hash compares under the slot. Only one of each address stands in line for it: who guesses on many connections lets those of
// other addresses wait for one hash, not for one of each.
func (u *Users) hash(hash, password []byte, from string, gone <-chan struct{}) bool {
	u.mu.Lock()
	q := u.lines[from]
	if q == nil {
		q = &queueing{turn: make(turn, 1)}
		u.lines[from] = q
	}
	q.length++
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if q.length--; q.length == 0 {
			delete(u.lines, from)
		}
	}()
	if !q.take(gone) {
		return false
	}
	defer q.pass()
	if !u.slot.take(gone) {
		return false
	}
	defer u.slot.pass()
	return bcrypt.CompareHashAndPassword(hash, password) == nil
}

// check reports whether the password is right. It may take a second on a small
// board, but a password that was right once is recognised at once. From is the
// address of the client; when gone is closed, check gives up.
func (u *Users) check(name string, password []byte, from string, gone <-chan struct{}) bool {
	digest := sha256.Sum256(password)
	u.mu.Lock()
	known, seen := u.known[name]
	u.mu.Unlock()
	if seen && subtle.ConstantTimeCompare(known[:], digest[:]) == 1 {
		return true
	}
	entry, exists := u.byName[name]
	hash := entry.hash
	if !exists {
		hash = u.decoy
	}
	if !u.hash(hash, password, from, gone) || !exists {
		return false
	}
	u.mu.Lock()
	u.known[name] = digest
	u.mu.Unlock()
	return true
}

// mayPublish reports whether the user exists and its prefix covers the topic.
func (u *Users) mayPublish(name, topic string) bool {
	entry, exists := u.byName[name]
	if !exists { // not any more
		return false
	}
	prefix := entry.prefix
	rest, below := strings.CutPrefix(topic, prefix)
	return prefix == "" || below && (rest == "" || rest[0] == '/')
}
