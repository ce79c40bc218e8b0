package mqttconn_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/fieldpost/fieldpost/mqttconn"
)

// connect opens a session and closes it at the end of the test, whose bubble then fails if a goroutine is left.
func connect(t *testing.T, dial mqttconn.DialFunc, cfg mqttconn.Config) *mqttconn.Session {
	t.Helper()
	s, err := mqttconn.Connect(t.Context(), dial, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// publish hands one message over and fails the test if that fails.
func publish(t *testing.T, s *mqttconn.Session, m mqttconn.Message) *mqttconn.Receipt {
	t.Helper()
	if m.Topic == "" {
		m.Topic = "site/pump"
	}
	r, err := s.Publish(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// isDone says whether a channel is closed once everything else has come to rest.
func isDone(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// wantEnd waits for the end of the session and checks why it ended.
func wantEnd(t *testing.T, s *mqttconn.Session, want mqttconn.Cause, words ...string) {
	t.Helper()
	if !isDone(s.Done()) {
		t.Fatalf("session has not ended, want cause %q", want)
	}
	wantError(t, s.Err(), want, words...)
}

// wantError checks the cause of an error and what a person reads.
func wantError(t *testing.T, err error, want mqttconn.Cause, words ...string) {
	t.Helper()
	if got := mqttconn.CauseOf(err); got != want {
		t.Errorf("cause: got %q, want %q (%v)", got, want, err)
	}
	for _, w := range words {
		if w != "" && (err == nil || !strings.Contains(err.Error(), w)) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
