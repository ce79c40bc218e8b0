package source_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fieldpost/fieldpost/agent/source"
	"github.com/fieldpost/fieldpost/agent/source/reading"
	"github.com/fieldpost/fieldpost/queue"
)

// common returns what a source of readings needs, with the topic "dev/{source}" unless the rule names one.
func common(t *testing.T, s source.Sink, rule reading.Rule) source.ReadingConfig {
	t.Helper()
	if rule.Topic.String() == "" {
		rule.Topic = topic(t, "{device}/{source}")
	}
	rule.Device = "dev"
	return source.ReadingConfig{Name: "x", Sink: s, Rule: rule, Limits: source.Limits{MaxPayload: 1000}, Log: zerolog.Nop(),
		Trust: func(time.Time) queue.Trust { return queue.TrustKnown }}
}

func topic(t *testing.T, text string) reading.Template {
	t.Helper()
	tpl, err := reading.ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

// launch runs a source that listens to nobody, until the test ends or stop is called.
func launch(t *testing.T, s runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: got %v, want nil after its context has ended", err)
			}
		case <-time.After(patience):
			t.Error("Run doesn't end")
		}
	})
	t.Cleanup(stop)
	return stop
}

// payloads returns what is in the sink, as "TOPIC PAYLOAD" each.
func (s *sink) payloads() []string {
	var all []string
	for _, m := range s.all() {
		all = append(all, m.Topic+" "+string(m.Payload))
	}
	return all
}

// awaitPayload waits until a message is in the sink.
func awaitPayload(t *testing.T, s *sink, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		got := s.payloads()
		for _, p := range got {
			if p == want {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %q, got %q", want, got)
		}
	}
}

// awaitError waits until the status shows an error with the text.
func awaitError(t *testing.T, s runner, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(s.Status().Error, want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the status shows %q, want %q", s.Status().Error, want)
		}
	}
}
