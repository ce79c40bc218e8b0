package source

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// TestGuessingLeavesOthersTheirTurn has one address guess on many connections when a client from another one logs in.
func TestGuessingLeavesOthersTheirTurn(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), 8)
	if err != nil {
		t.Fatal(err)
	}
	users, err := ParseUsers("users", []byte("pump:"+string(hash)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	waiting := func(from string) int {
		users.mu.Lock()
		defer users.mu.Unlock()
		if q := users.lines[from]; q != nil {
			return q.length
		}
		return 0
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}

	users.slot <- struct{}{}
	var guesses sync.WaitGroup
	for range 20 {
		guesses.Go(func() {
			if users.check("pump", []byte("guess"), "192.0.2.66", nil) {
				t.Error("a guess was right")
			}
		})
	}
	until("the guesses", func() bool { return waiting("192.0.2.66") == 20 })
	left := make(chan int, 1)
	go func() {
		if !users.check("pump", []byte("right"), "192.0.2.7", nil) {
			t.Error("the right password was refused")
		}
		left <- waiting("192.0.2.66")
	}()
	until("the login", func() bool { return waiting("192.0.2.7") == 1 })

	gone := make(chan struct{})
	close(gone)
	if users.check("pump", []byte("right"), "192.0.2.8", gone) {
		t.Error("who is gone was let in without a hash")
	}

	<-users.slot
	if n := <-left; n < 10 {
		t.Errorf("%d of 20 guesses were still waiting when the other client was in, want most of them", n)
	}
	guesses.Wait()
	if len(users.lines) != 0 {
		t.Errorf("%d addresses are remembered, want none", len(users.lines))
	}
}
