package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/queue"
)

// batching is an encoding that gathers up to 5 messages for up to a minute.
func batching(c *agent.Config) {
	c.Encoding = agent.Encoding{Format: agent.FormatBatch, Topic: "pump-07/batch", Bare: []string{"downlink"}, MaxMessages: 5, MaxAge: time.Minute}
}

// gathering runs an agent whose only session is s.
func gathering(t *testing.T, s *session, change func(*agent.Config)) (*agent.Agent, *queue.Queue, func() error) {
	t.Helper()
	l := newLink()
	l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) { return s, nil }
	a, q, stop := run(t, l, func(c *agent.Config) {
		batching(c)
		if change != nil {
			change(c)
		}
	})
	synctest.Wait()
	return a, q, stop
}

// closedLink is a link that gives the session as soon as open is closed.
func closedLink(s *session) (l *link, open chan struct{}) {
	l, open = newLink(), make(chan struct{})
	l.connect = func(ctx context.Context, _ []agent.Resume, _ agent.Report) (agent.Session, error) {
		select {
		case <-open:
			return s, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return l, open
}

// content describes a publish: its topic, and the payloads if it is a batch.
func content(t *testing.T, r *receipt) string {
	t.Helper()
	if !envelope.Is(r.message.Payload) {
		return r.message.Topic + " plain " + string(r.message.Payload)
	}
	m, err := envelope.NewDecoder().Decode(r.message.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Readings) != 1+len(r.more) || m.Readings[0].Seq != r.Seq() {
		t.Errorf("message %d with %v holds readings %v", r.Seq(), r.more, m.Readings)
	}
	text := r.message.Topic
	for _, reading := range m.Readings {
		text += " " + strings.TrimPrefix(reading.Topic+"=", "=") + string(reading.Payload)
	}
	return text
}

// published is what has been handed to the session so far.
func published(t *testing.T, s *session) []string {
	t.Helper()
	synctest.Wait()
	list := []string{}
	for {
		select {
		case r := <-s.published:
			list = append(list, content(t, r))
		default:
			return list
		}
	}
}

func accept(t *testing.T, a *agent.Agent, msgs ...queue.Message) {
	t.Helper()
	if _, err := a.Accept(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
}

func numbered(lane queue.Lane, topic string, from, to int) (list []queue.Message) {
	for i := from; i <= to; i++ {
		list = append(list, queue.Message{Lane: lane, Topic: topic, Payload: fmt.Append(nil, i), QoS: 1})
	}
	return list
}

// resumingLink is a link whose first attempt fails; the next ones give s with what is to be resumed on its way. last is what the last
// attempt was to resume.
func resumingLink(s *session) (l *link, last func() []agent.Resume) {
	var resumes [][]agent.Resume
	l = newLink()
	l.connect = func(_ context.Context, resume []agent.Resume, _ agent.Report) (agent.Session, error) {
		if resumes = append(resumes, resume); len(resumes) == 1 {
			return nil, errLost
		}
		for _, r := range resume {
			r.Message.Seq = r.Flight.Seq
			s.resumed = append(s.resumed, &receipt{message: r.Message, more: r.Flight.More, done: make(chan struct{})})
		}
		return s, nil
	}
	return l, func() []agent.Resume { return resumes[len(resumes)-1] }
}

// saveFlights leaves in the queue what an agent notes that had sent so much when it was killed.
func saveFlights(t *testing.T, q *queue.Queue, flights ...queue.Flight) {
	t.Helper()
	for _, f := range flights {
		if err := q.SaveFlight(t.Context(), f, true); err != nil {
			t.Fatal(err)
		}
	}
}
