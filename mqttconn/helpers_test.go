package mqttconn_test

import (
	"context"
	"testing"

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
