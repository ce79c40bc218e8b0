package uplink

import (
	"errors"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet"
)

// TestFM17_DeniedIsNotTriedSooner: the wait varies, but never below what the operator is owed.
func TestFM17_DeniedIsNotTriedSooner(t *testing.T) {
	for range 50 {
		again := retry(new(brokers))
		for range 3 {
			if got := again(&gsmnet.Error{Cause: gsmnet.CauseDenied, Op: "register", Err: errors.New("refused")}, 0); got < 10*time.Minute {
				t.Fatalf("tried again after %v", got)
			}
		}
	}
}
