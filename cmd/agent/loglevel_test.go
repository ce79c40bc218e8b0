package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestLogLevelForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		level, err := newLogLevel("info")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		log := zerolog.New(levelFilter{zerolog.MultiLevelWriter(&out), level})
		says := func(want bool, when string) {
			t.Helper()
			out.Reset()
			log.Debug().Msg("fine")
			if got := strings.Contains(out.String(), "fine"); got != want {
				t.Errorf("%s: a debug line is written: %v, want %v", when, got, want)
			}
			log.Error().Msg("bad")
			if !strings.Contains(out.String(), "bad") {
				t.Errorf("%s: errors are not written", when)
			}
		}
		says(false, "at first")
		if err := level.SetFor("debug", 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		says(true, "after nine minutes")
		time.Sleep(2 * time.Minute)
		says(false, "after eleven minutes")
		if err := level.SetFor("debug", time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := level.Configure("debug"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		says(true, "configured meanwhile")
		for _, name := range []string{"loud", "", "disabled", "panic"} {
			if level.SetFor(name, 0) == nil {
				t.Errorf("the level %q was taken", name)
			}
		}
	})
}
