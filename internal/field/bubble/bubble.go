// Package bubble runs a function in virtual time outside of go test.
//
// Time in a bubble stands still while any of its goroutines works, and jumps to the next timer when all of them wait, so
// that a month passes in a minute. Package testing/synctest, which makes bubbles, asks for a *testing.T: Run brings one
// along. What works in a bubble and what does not is in the documentation of that package; the rule that matters most
// is that nothing outside may touch a channel or a timer that was made inside.
package bubble

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// Run calls f in a bubble and returns its error when all goroutines that f has started have ended. settle waits
// until every other goroutine of the bubble waits (synctest.Wait).
func Run(f func(settle func()) error) error {
	testing.Init() // without its flags, package testing panics
	// A T that no test runner has made is all that a bubble needs: it is a parent for the T that it makes. The tests
	// of this package and of the demo would notice a release of Go that asks for more.
	t := new(testing.T)
	err := errors.New("bubble: the function has not returned")
	ended := make(chan struct{})
	go func() { // where the bubble fails, it ends the goroutine that asked for it
		defer close(ended)
		synctest.Test(t, func(*testing.T) { err = f(synctest.Wait) })
	}()
	<-ended
	return err
}

// RealSleep lets d pass outside, while time in the bubble stands still.
func RealSleep(d time.Duration) {
	for left := unix.NsecToTimespec(d.Nanoseconds()); ; {
		if unix.Nanosleep(&left, &left) != unix.EINTR {
			return
		}
	}
}
