package device

import (
	"testing"
	"time"
)

func TestHoldIsShort(t *testing.T) {
	for early := range 100 {
		switch got := hold(early); {
		case early < freeStarts && got != 0:
			t.Errorf("after %d early starts it waits %v, want none", early, got)
		case early >= freeStarts && (got < 10*time.Second || got > 20*time.Second):
			t.Errorf("after %d early starts it waits %v, want 10 to 20 s", early, got)
		}
	}
}
