package at_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/gsmnet/at"
)

func TestG9_1_SyncAsksFifteenTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		f := newFake(func(f *fake, line string) {
			if n++; n >= 15 {
				obliging(f, line)
			}
		})
		d, _ := start(t, f)
		begun := time.Now()
		if err := d.Sync(15, 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(begun); got != 7*time.Second {
			t.Errorf("synchronised after %v, want 14 waits of 500 ms", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(*fake, string) {})
		d, _ := start(t, f)
		if err := d.Sync(15, 500*time.Millisecond); !errors.Is(err, at.ErrHung) {
			t.Errorf("got %v, want ErrHung", err)
		}
	})
}

// An earlier program has asked for a send, and its prompt comes while ours looks for the module's speed.
func TestG9_1_PromptOfAnEarlierProgramWhileSynchronising(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		knocks := 0
		f := newFake(func(f *fake, line string) {
			if line != "AT" {
				obliging(f, line)
				return
			}
			if knocks++; knocks == 1 {
				f.expects = 265
				f.say("\r\n> \r\nOK\r\n")
				return
			}
			obliging(f, line)
		})
		d, _ := start(t, f)
		begun := time.Now()
		if err := d.Sync(15, 500*time.Millisecond); err != nil {
			t.Error(err)
		}
		if got := time.Since(begun); got > 10*time.Second {
			t.Errorf("in step after %v: the payload that the module waits for should have been made up sooner", got)
		}
	})
}
