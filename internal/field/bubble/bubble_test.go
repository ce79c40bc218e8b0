package bubble_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fieldpost/fieldpost/internal/field/bubble"
)

func ExampleRun() {
	err := bubble.Run(func(settle func()) error {
		begin := time.Now()
		time.Sleep(30 * 24 * time.Hour)
		fmt.Println(time.Since(begin))
		return nil
	})
	fmt.Println(err)
	// Output:
	// 720h0m0s
	// <nil>
}

func TestErrorsComeOut(t *testing.T) {
	want := errors.New("rain")
	if got := bubble.Run(func(func()) error { return want }); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Virtual time must not pass while the goroutine sleeps outside.
func TestRealSleepStopsTheBubble(t *testing.T) {
	outside := time.Now()
	err := bubble.Run(func(func()) error {
		begin := time.Now()
		late := time.AfterFunc(time.Nanosecond, func() {})
		bubble.RealSleep(20 * time.Millisecond)
		if d := time.Since(begin); d != 0 {
			return fmt.Errorf("%v have passed inside", d)
		}
		late.Stop()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if d := time.Since(outside); d < 20*time.Millisecond {
		t.Errorf("only %v have passed outside", d)
	}
}
