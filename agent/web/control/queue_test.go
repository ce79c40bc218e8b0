package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// withQueue runs a server over a real queue.
func withQueue(t *testing.T, cfg queue.Config, msgs ...queue.Message) (*control.Client, *queue.Queue) {
	t.Helper()
	cfg.Path = filepath.Join(t.TempDir(), "queue.db")
	q, err := queue.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	if _, err := q.Put(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	return start(t, func(c *control.Config) { c.Queue = q }), q
}

func some(n int) []queue.Message {
	var msgs []queue.Message
	for i := range n {
		msgs = append(msgs, queue.Message{Topic: fmt.Sprintf("site/%d", i%2), Lane: queue.Lane(2 + i%2), Payload: fmt.Append(nil, "reading ", i), Source: "test"})
	}
	return msgs
}

func TestList(t *testing.T) {
	awkward := append([]byte("\x1b[2J\n\"é\xff"), bytes.Repeat([]byte("ü"), 40)...)
	client, q := withQueue(t, queue.Config{}, append(some(6), queue.Message{Topic: "x", Lane: queue.Alarm, QoS: 2, Retain: true, Payload: awkward,
		Expires: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)})...)
	list, err := client.List(t.Context(), queue.Filter{}, 3)
	if err != nil || len(list.Messages) != 3 || !list.More {
		t.Fatalf("List: got %+v, %v, want 3 and more", list, err)
	}
	m, err := q.Get(7)
	if err != nil {
		t.Fatal(err)
	}
	want := control.Row{
		Seq: 7, ID: m.ID.String(), Lane: "alarm", Topic: "x", QoS: 2, Retain: true, PayloadBytes: len(awkward), Cut: true,
		Preview: `\x1b[2J\n"é\xff` + strings.Repeat("ü", 25), Source: "", Time: m.Time, Trust: m.Trust.String(), Expires: &m.Expires,
	}
	if diff := cmp.Diff(want, list.Messages[0]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		filter queue.Filter
		want   []uint64
	}{
		{queue.Filter{Topic: "site"}, []uint64{1, 3, 5, 2, 4, 6}},
		{queue.Filter{Topic: "site/1"}, []uint64{2, 4, 6}},
		{queue.Filter{Lane: queue.Bulk, Last: 4}, []uint64{2, 4}},
		{queue.Filter{Topic: "none"}, nil},
	} {
		list, err := client.List(t.Context(), test.filter, control.MaxRows)
		var got []uint64
		for _, row := range list.Messages {
			got = append(got, row.Seq)
		}
		if err != nil || !cmp.Equal(got, test.want) || list.More {
			t.Errorf("%+v: got %v, %v, more %v; want %v", test.filter, got, err, list.More, test.want)
		}
	}
	for _, limit := range []int{0, -1, control.MaxRows + 1} {
		if _, err := client.List(t.Context(), queue.Filter{}, limit); codeOf(err) != control.CodeInvalid {
			t.Errorf("limit %d: got %v, want code invalid", limit, err)
		}
	}
}

// A list stays below what a client reads, however long the topics are.
func TestListOfLongTopics(t *testing.T) {
	var msgs []queue.Message
	for range 40 {
		msgs = append(msgs, queue.Message{Topic: strings.Repeat("\x01", 65535)})
	}
	client, _ := withQueue(t, queue.Config{}, msgs...)
	list, err := client.List(t.Context(), queue.Filter{}, control.MaxRows)
	if err != nil || !list.More || len(list.Messages) == 0 {
		t.Errorf("List: got %d rows, more %v, %v; want some and more", len(list.Messages), list.More, err)
	}
}

func TestMessage(t *testing.T) {
	client, q := withQueue(t, queue.Config{}, some(2)...)
	want, err := q.Get(2)
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.Message(t.Context(), 2)
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("Message: got %+v, %v, want %+v", got, err, want)
	}
	if _, err := client.Message(t.Context(), 3); codeOf(err) != control.CodeNotFound {
		t.Errorf("no message: got %v, want code not_found", err)
	}
}

func TestExportAndImport(t *testing.T) {
	const n = 3000
	from, _ := withQueue(t, queue.Config{}, some(n)...)
	var file bytes.Buffer
	if done, err := from.Export(t.Context(), &file); err != nil || done != (queue.Exported{Messages: n}) {
		t.Fatalf("Export: got %+v, %v", done, err)
	}
	to, q := withQueue(t, queue.Config{})
	seen := 0
	done, err := to.Import(t.Context(), bytes.NewReader(file.Bytes()), func(at queue.Imported) {
		if at.Stored <= seen {
			t.Errorf("progress: %d stored after %d", at.Stored, seen)
		}
		seen = at.Stored
	})
	if want := (queue.Imported{Lines: n, Stored: n}); err != nil || done != want || q.Stats().Messages != n {
		t.Errorf("Import: got %+v, %v, want %+v", done, err, want)
	}
	if seen == 0 {
		t.Error("no progress was told")
	}
	done, err = to.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	if want := (queue.Imported{Lines: n, Present: n}); err != nil || done != want {
		t.Errorf("Import again: got %+v, %v, want %+v", done, err, want)
	}
	if done, err := from.Export(t.Context(), failing{}); err == nil || !strings.Contains(err.Error(), "stick is full") {
		t.Errorf("Export to a full stick: got %+v, %v, want its error", done, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("stick is full") }

func TestImportTellsHowFarItCame(t *testing.T) {
	from, _ := withQueue(t, queue.Config{}, some(2000)...)
	var file bytes.Buffer
	if _, err := from.Export(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(file.String(), "\n")
	lines[600] = "{\n"
	to, q := withQueue(t, queue.Config{})
	// What follows the bad line is more than any buffer holds, so that the answer comes before all was sent.
	text := io.MultiReader(strings.NewReader(strings.Join(lines, "")), io.LimitReader(zeros{}, 64<<20))
	done, err := to.Import(t.Context(), text, nil)
	if codeOf(err) != control.CodeInvalid || !strings.Contains(err.Error(), "line 601") || done.Stored != 600 || q.Stats().Messages != 600 {
		t.Errorf("bad line: got %+v, %v, want 600 stored and line 601 named", done, err)
	}

	small, q := withQueue(t, queue.Config{MaxBytes: 64 << 10, Full: queue.DropOldest})
	done, err = small.Import(t.Context(), bytes.NewReader(file.Bytes()), nil)
	if codeOf(err) != control.CodeFull || done.Stored != q.Stats().Messages || done.Stored == 0 {
		t.Errorf("small queue: got %+v, %v, want code full and %d stored", done, err, q.Stats().Messages)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestPurge(t *testing.T) {
	client, q := withQueue(t, queue.Config{}, some(10)...)
	filter := queue.Filter{Topic: "site/1", Last: 9}
	want := queue.Purged{Messages: 5, PayloadBytes: 45, Last: 10}
	if got, err := client.Purge(t.Context(), queue.Filter{Topic: "site/1"}, true, nil); err != nil || got != want {
		t.Errorf("dry run: got %+v, %v, want %+v", got, err, want)
	}
	if got := q.Stats().Messages; got != 10 {
		t.Errorf("after the dry run: %d messages, want 10", got)
	}
	want = queue.Purged{Messages: 4, PayloadBytes: 36, Last: 8}
	if got, err := client.Purge(t.Context(), filter, false, nil); err != nil || got != want {
		t.Errorf("Purge: got %+v, %v, want %+v", got, err, want)
	}
	if got := q.Stats().Messages; got != 6 {
		t.Errorf("after the purge: %d messages, want 6", got)
	}
}

// slowQueue ends nothing before it is told to, and its export breaks off.
type slowQueue struct {
	control.Queue
	entered, leave chan struct{}
}

func (q slowQueue) All() iter.Seq2[queue.Message, error] {
	return func(func(queue.Message, error) bool) {
		q.entered <- struct{}{}
		<-q.leave
	}
}

func (q slowQueue) Export(_ context.Context, w io.Writer, _ func(queue.Exported)) (queue.Exported, error) {
	_, _ = io.WriteString(w, "{}\n")
	return queue.Exported{Messages: 1}, fmt.Errorf("%w: the disk has gone", queue.ErrFailed)
}

func TestExportThatBreaksOff(t *testing.T) {
	client := start(t, func(c *control.Config) { c.Queue = slowQueue{} })
	var file bytes.Buffer
	done, err := client.Export(t.Context(), &file)
	if err == nil || !strings.Contains(err.Error(), "the disk has gone") || done.Messages != 1 {
		t.Errorf("Export: got %+v, %v, want the agent's error", done, err)
	}
}

func TestLongRequestsAreBounded(t *testing.T) {
	q := slowQueue{entered: make(chan struct{}), leave: make(chan struct{})}
	client := start(t, func(c *control.Config) { c.Queue = q })
	ended := make(chan error)
	for range 4 {
		go func() {
			_, err := client.List(t.Context(), queue.Filter{}, 1)
			ended <- err
		}()
		<-q.entered
	}
	_, err := client.List(t.Context(), queue.Filter{}, 1)
	var refusal *control.Error
	if !errors.As(err, &refusal) || !refusal.Temporary() {
		t.Errorf("the fifth: got %v, want a refusal that passes", err)
	}
	close(q.leave)
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func codeOf(err error) control.Code {
	var refusal *control.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// An agent that ends in the middle must not look like one that is done.
func TestAnswerThatIsCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/queue/export", says("{}\n"))
	mux.HandleFunc("/v1/queue/import", says(`{"done":false,"state":{"lines":3,"stored":2}}`+"\n"))
	mux.HandleFunc("/v1/queue/purge", says(`{"done":true,"st`))
	server := &http.Server{Handler: mux}
	ended := make(chan error)
	go func() { ended <- server.Serve(l) }()
	defer func() {
		server.Close()
		<-ended
	}()
	client := control.NewClient(path)
	if _, err := client.Export(t.Context(), io.Discard); err == nil {
		t.Error("Export: got no error")
	}
	if done, err := client.Import(t.Context(), strings.NewReader("{}\n"), nil); err == nil || done.Stored != 2 {
		t.Errorf("Import: got %+v, %v, want an error and how far it came", done, err)
	}
	if _, err := client.Purge(t.Context(), queue.Filter{}, false, nil); err == nil {
		t.Error("Purge: got no error")
	}
}
