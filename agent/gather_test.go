package agent_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/envelope"
	"github.com/fieldpost/fieldpost/queue"
)

func TestBatchesWaitForSizeOrAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, q, stop := gathering(t, s, nil)
		check := func(when string, want ...string) {
			t.Helper()
			if got := published(t, s); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		accept(t, a, numbered(0, "a", 1, 1)...)
		time.Sleep(30 * time.Second)
		accept(t, a, numbered(0, "b", 2, 3)...)
		time.Sleep(30*time.Second - time.Millisecond)
		check("before the first one's minute is over")
		time.Sleep(2 * time.Millisecond)
		check("after it", "pump-07/batch a=1 b=2 b=3")

		accept(t, a, numbered(0, "a", 4, 15)...)
		check("with more than two full ones", "pump-07/batch a=4 a=5 a=6 a=7 a=8", "pump-07/batch a=9 a=10 a=11 a=12 a=13")
		time.Sleep(time.Minute)
		check("after another minute", "pump-07/batch a=14 a=15")

		if got := q.Stats().Waiting; got != 15 {
			t.Errorf("%d messages are in the queue before the proof, want all 15", got)
		}
		for _, r := range s.open {
			r.finish(nil)
		}
		synctest.Wait()
		st := a.Status()
		if got := q.Stats().Waiting; got != 0 || st.Delivery.Delivered != 15 || st.Delivery.InFlight != 0 {
			t.Errorf("after the proof: %d in the queue, %+v; want all 15 delivered", got, st.Delivery)
		}
		if e := st.Encoding; e.Format != agent.FormatBatch || e.Published != 4 || e.Messages != 15 || e.BytesIn != 15+15+6 {
			t.Errorf("the encoding's status is %+v, want 15 messages of 36 bytes in 4", e)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What has waited in the queue has waited long enough, and what follows it goes along.
func TestABacklogDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		l, open := closedLink(s)
		a, _, stop := run(t, l, batching)
		accept(t, a, numbered(0, "a", 1, 7)...)
		time.Sleep(time.Hour)
		accept(t, a, numbered(0, "a", 8, 9)...)
		close(open)
		want := []string{"pump-07/batch a=1 a=2 a=3 a=4 a=5", "pump-07/batch a=6 a=7 a=8 a=9"}
		if got := published(t, s); !slices.Equal(got, want) {
			t.Errorf("at once after the connection: got %q, want %q", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestAlarmsAndRetainedMessagesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, _, stop := gathering(t, s, nil)
		accept(t, a, numbered(0, "a", 1, 2)...)
		accept(t, a, numbered(queue.Bulk, "log", 3, 3)...)
		accept(t, a, numbered(queue.Alarm, "alarm", 4, 4)...)
		want := []string{"pump-07/batch alarm=4"}
		if got := published(t, s); !slices.Equal(got, want) {
			t.Errorf("after an alarm: got %q, want it alone and at once", got)
		}
		accept(t, a, queue.Message{Topic: "answer", Lane: queue.Alarm, Source: "downlink", Payload: []byte("done")})
		want = []string{"answer plain done"}
		if got := published(t, s); !slices.Equal(got, want) {
			t.Errorf("after a message of a source that goes plain: got %q, want %q", got, want)
		}
		accept(t, a, queue.Message{Topic: "state", Retain: true, Payload: []byte("on")})
		want = []string{"pump-07/batch a=1 a=2", "state plain on"}
		if got := published(t, s); !slices.Equal(got, want) {
			t.Errorf("after a retained message: got %q, want %q: its lane stays in order", got, want)
		}
		time.Sleep(time.Minute)
		want = []string{"pump-07/batch log=3"}
		if got := published(t, s); !slices.Equal(got, want) {
			t.Errorf("a minute later: got %q, want %q", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestABatchIsBoundedInBytesAndOfOneQoS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, _, stop := gathering(t, s, func(c *agent.Config) { c.Encoding.MaxBytes, c.Encoding.MaxMessages = 100, 50 })
		m := func(qos byte, size int) queue.Message {
			return queue.Message{Topic: "t", QoS: qos, Payload: []byte(strings.Repeat("x", size))}
		}
		accept(t, a, m(0, 40), m(0, 40), m(0, 30), m(2, 40), m(1, 40), m(1, 300))
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		type sizes struct {
			QoS      byte
			Messages int
		}
		var got []sizes
		for _, r := range s.open {
			got = append(got, sizes{r.message.QoS, 1 + len(r.more)})
		}
		if diff := cmp.Diff([]sizes{{0, 2}, {0, 1}, {2, 1}, {1, 1}, {1, 1}}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestEnvelopeKeepsTheTopicOfEachMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, q, stop := gathering(t, s, func(c *agent.Config) {
			c.Encoding = agent.Encoding{Format: agent.FormatEnvelope, Dictionary: envelope.Builtin()}
		})
		accept(t, a, queue.Message{Topic: "site/a", Retain: true, QoS: 2, Payload: []byte(`{"temperature":21.5,"humidity":48.2,"status":"ok"}`)})
		r := <-s.published
		m, err := envelope.NewDecoder().Decode(r.message.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if r.message.Topic != "site/a" || !r.message.Retain || r.message.QoS != 2 || m.Batch || m.Dictionary == nil ||
			m.Device != "pump-07" || m.Epoch != q.Epoch() || m.Readings[0].Seq != 1 {
			t.Errorf("got %+v with %+v", r.message, m)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Whatever ends the agent while it gathers: the messages are in the queue, and a later session sends them.
func TestGatheredMessagesOutliveTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newSession(), newSession()
		l := newLink()
		sessions := []*session{first, second}
		l.connect = func(context.Context, []agent.Resume, agent.Report) (agent.Session, error) {
			s := sessions[0]
			sessions = sessions[1:]
			return s, nil
		}
		a, _, stop := run(t, l, batching)
		synctest.Wait()
		accept(t, a, numbered(0, "a", 1, 3)...)
		if got := published(t, first); len(got) > 0 {
			t.Fatalf("sent before the minute was over: %q", got)
		}
		first.end(errLost)
		time.Sleep(time.Minute) // Retry's
		want := []string{"pump-07/batch a=1 a=2 a=3"}
		if got := published(t, second); !slices.Equal(got, want) {
			t.Errorf("in the next session: got %q, want %q", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// With history beside the present each fills batches of its own, and the present isn't held up by history.
func TestHistoryAndThePresentShareNoBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		l, open := closedLink(s)
		q, err := queue.Open(queue.Config{Path: t.TempDir() + "/queue.db", Drain: queue.LiveFirst, HistoryAge: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		a, _, stop := run(t, l, func(c *agent.Config) { batching(c); c.Queue = q })
		accept(t, a, numbered(0, "past", 1, 12)...)
		time.Sleep(time.Hour)
		close(open)
		synctest.Wait()
		accept(t, a, numbered(0, "live", 1, 7)...)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		var past, live []string
		for _, r := range s.open {
			text := content(t, r)
			switch {
			case strings.Contains(text, "past=") && strings.Contains(text, "live="):
				t.Errorf("history and the present in one: %q", text)
			case r.message.History:
				past = append(past, text)
			default:
				live = append(live, text)
			}
		}
		if len(past) != 3 || len(live) != 2 {
			t.Errorf("got history %q and the present %q, want 12 in 3 and 7 in 2", past, live)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
}

// The ids in a batch are of one queue and rise: messages that were imported from another one get batches of their own.
func TestImportedMessagesKeepTheirIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, q, stop := gathering(t, s, nil)
		other := [8]byte{0xab}
		foreign := func(seq uint64) queue.Message {
			return queue.Message{Topic: "a", Payload: fmt.Append(nil, "foreign ", seq), ID: queue.ID{Epoch: other, Seq: seq}}
		}
		own := numbered(0, "a", 1, 3)
		accept(t, a, own[0], own[1], foreign(5), foreign(6), foreign(3), own[2])
		time.Sleep(time.Minute)
		synctest.Wait()
		var got []string
		for _, r := range s.open {
			m, err := envelope.NewDecoder().Decode(r.message.Payload)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range m.Lines("") {
				got = append(got, l.ID+" "+*l.Text)
			}
			got = append(got, "-")
		}
		id := func(e [8]byte, seq uint64) string { return queue.ID{Epoch: e, Seq: seq}.String() }
		want := []string{id(q.Epoch(), 1) + " 1", id(q.Epoch(), 2) + " 2", "-", id(other, 5) + " foreign 5", id(other, 6) + " foreign 6", "-",
			id(other, 3) + " foreign 3", "-", id(q.Epoch(), 6) + " 3", "-"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Who asks for what is gathered gets it behind the answer, and not when it would have gone by itself.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession()
		a, _, _ := gathering(t, s, nil)
		put(t, a, "site/x", "1")
		if got := published(t, s); len(got) > 0 {
			t.Fatalf("got %v before anybody asked", got)
		}
		time.Sleep(time.Second)
		a.Flush()
		if _, err := a.Accept(t.Context(), queue.Message{Lane: queue.Alarm, Topic: "answer", QoS: 1, Payload: []byte("ok")}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"pump-07/batch answer=ok", "pump-07/batch site/x=1"}, published(t, s)); diff != "" {
			t.Errorf("the answer and the batch (-want +got):\n%s", diff)
		}
		put(t, a, "site/x", "2") // waits again
		time.Sleep(30 * time.Second)
		if got := published(t, s); len(got) > 0 {
			t.Errorf("got %v, which nobody has asked for", got)
		}
	})
}
