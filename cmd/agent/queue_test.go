package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/fieldpost/fieldpost/queue"
)

const unreachable = "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n"

// fill stores messages in the queue of a stopped site.
func fill(t *testing.T, s site, msgs ...queue.Message) {
	t.Helper()
	q, err := queue.Open(queue.Config{Path: filepath.Join(s.data, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Put(t.Context(), msgs...); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

func readings(n int) []queue.Message {
	var msgs []queue.Message
	for i := range n {
		msgs = append(msgs, queue.Message{Topic: fmt.Sprint("site/", i%3), Lane: queue.Lane(1 + i%3), QoS: byte(i % 3), Retain: i%2 == 0,
			Payload: []byte{byte(i), byte(i >> 8), 0xff, '\n'}, Source: "test"})
	}
	return msgs
}

// good runs a command that has to succeed.
func good(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := call(t, args...)
	if code != 0 {
		t.Fatalf("fieldpost %s: exit code %d\n%s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// bad runs a command that has to fail with the code.
func bad(t *testing.T, code int, args ...string) string {
	t.Helper()
	stdout, stderr, got := call(t, args...)
	if got != code {
		t.Errorf("fieldpost %s: got exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stderr
}

// withoutSeq is an export without the sequences, which are the only thing that an import changes.
func withoutSeq(t *testing.T, export string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(export) {
		m := decode(t, line)
		delete(m, "seq")
		fmt.Fprintln(&out, m)
	}
	return out.String()
}

// onBoth runs a test twice: on the file of a stopped agent, and through the socket of a running one.
func onBoth(t *testing.T, msgs []queue.Message, test func(t *testing.T, s site)) {
	t.Helper()
	for _, running := range []bool{false, true} {
		t.Run(fmt.Sprint("running=", running), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, unreachable)
			fill(t, s, msgs...)
			if running {
				fieldpost(t, "agent", "run", "--config", s.conf).waitFor("started", 20*time.Second)
			}
			test(t, s)
		})
	}
}

func TestQueueLsAndShow(t *testing.T) {
	msgs := append(readings(6), queue.Message{Topic: "site/\x1b[31m", Payload: []byte(strings.Repeat("long ", 40)), QoS: 1})
	onBoth(t, msgs, func(t *testing.T, s site) {
		out := good(t, "queue", "ls", "--config", s.conf)
		says(t, out, "SEQ", "alarm", `site/\x1b[31m`, "long long", "…", `\xff\n`)
		if strings.Contains(out, "\x1b") || strings.Count(out, "\n") != 8 {
			t.Errorf("want a header and a line for each of 7 messages, and no escape sequence:\n%q", out)
		}
		for _, tc := range []struct {
			args []string
			want string
		}{
			{nil, "1 4 2 5 7 3 6"},
			{[]string{"--lane", "bulk"}, "3 6"},
			{[]string{"--topic", "site/0"}, "1 4"},
			{[]string{"--topic", "site", "--limit", "2"}, "1 4"},
			{[]string{"--topic", "sit"}, ""},
		} {
			list := decode(t, good(t, append([]string{"queue", "ls", "--json", "--config", s.conf}, tc.args...)...))
			var got []string
			for _, m := range list["messages"].([]any) {
				got = append(got, fmt.Sprint(m.(map[string]any)["seq"]))
			}
			if strings.Join(got, " ") != tc.want || list["schema"] != 1.0 || list["more"] != (len(tc.args) == 4) {
				t.Errorf("ls %v: got %v, more %v, want %v", tc.args, got, list["more"], tc.want)
			}
		}
		says(t, good(t, "queue", "show", "7", "--config", s.conf), strings.Repeat("long ", 40), "normal", "200 bytes")
		if got := decode(t, good(t, "queue", "show", "3", "--json", "--config", s.conf)); got["payload_base64"] != "AgD/Cg==" || got["lane"] != "bulk" {
			t.Errorf("show --json: got %v", got)
		}
		says(t, bad(t, exitFailed, "queue", "show", "99", "--config", s.conf), "99")
		for _, args := range [][]string{{"show", "x"}, {"show"}, {"ls", "--lane", "fast"}, {"ls", "--limit", "0"}, {"ls", "--limit", "1001"}, {"lss"}} {
			bad(t, exitUsage, append(append([]string{"queue"}, args...), "--config", s.conf)...)
		}
	})
}

func TestQueueExportAndImport(t *testing.T) {
	onBoth(t, readings(3000), func(t *testing.T, s site) {
		want := good(t, "queue", "export", "--config", s.conf)
		if got := strings.Count(want, "\n"); got != 3000 {
			t.Errorf("export: got %d lines, want 3000", got)
		}
		file := filepath.Join(t.TempDir(), "stick.jsonl")
		if got := decode(t, good(t, "queue", "export", file, "--json", "--config", s.conf)); got["messages"] != 3000.0 || got["damaged"] != 0.0 {
			t.Errorf("export --json: got %v", got)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("the file differs from what goes to standard output: %v", err)
		}
		says(t, bad(t, exitFailed, "queue", "export", file, "--config", s.conf), "is there already")

		// To a place that never had a queue, and once more.
		office := newSite(t, unreachable)
		if got := decode(t, good(t, "queue", "import", file, "--json", "--config", office.conf)); got["stored"] != 3000.0 || got["present"] != 0.0 {
			t.Errorf("import: got %v", got)
		}
		says(t, good(t, "queue", "import", file, "--config", office.conf), "0 messages imported, 3000 were there already")
		if withoutSeq(t, good(t, "queue", "export", "--config", office.conf)) != withoutSeq(t, want) {
			t.Error("what was imported differs from what was exported")
		}
		// And back, which doubles nothing.
		says(t, good(t, "queue", "import", file, "--config", s.conf), "0 messages imported, 3000 were there already")
		if got := good(t, "queue", "export", "--config", s.conf); got != want {
			t.Error("importing what was exported has changed the queue")
		}
		says(t, bad(t, exitFailed, "queue", "import", writeFile(t, filepath.Join(t.TempDir(), "x"), "no JSON\n"), "--config", s.conf), "line 1")
		says(t, bad(t, exitFailed, "queue", "import", filepath.Join(t.TempDir(), "missing"), "--config", s.conf), "missing")
		says(t, bad(t, exitFailed, "queue", "import", t.TempDir(), "--config", s.conf), "folder")
	})
}

// A queue at its bound takes what fits, drops nothing for the rest, and takes that later.
func TestQueueImportIntoAFullQueue(t *testing.T) {
	t.Parallel()
	from := newSite(t, unreachable)
	var large []queue.Message
	for i := range 40 {
		large = append(large, queue.Message{Topic: "t", Payload: bytes.Repeat([]byte{byte(i)}, 40<<10)})
	}
	for i := 0; i < len(large); i += 10 {
		fill(t, from, large[i:i+10]...)
	}
	file := filepath.Join(t.TempDir(), "stick.jsonl")
	good(t, "queue", "export", file, "--config", from.conf)

	to := newSite(t, unreachable+"queue: {max_bytes: 1MiB}\n")
	fill(t, to, queue.Message{Topic: "first", Lane: queue.Bulk})
	says(t, bad(t, exitTemporary, "queue", "import", file, "--config", to.conf), "full", "messages imported")
	stats := decode(t, good(t, "queue", "stats", "--json", "--config", to.conf))
	if n := stats["messages"].(float64); n < 10 || n > 26 || len(stats["dropped"].(map[string]any)) > 0 {
		t.Errorf("got %v, want some 25 messages and nothing dropped", stats)
	}
	good(t, "queue", "purge", "--lane", "bulk", "--yes", "--config", to.conf)
}

func TestQueuePurge(t *testing.T) {
	onBoth(t, readings(9), func(t *testing.T, s site) {
		count := func() float64 {
			return decode(t, good(t, "queue", "stats", "--json", "--config", s.conf))["messages"].(float64)
		}
		says(t, bad(t, exitUsage, "queue", "purge", "--config", s.conf), "--all")
		says(t, bad(t, exitUsage, "queue", "purge", "--all", "--lane", "bulk", "--config", s.conf), "--all alone")
		says(t, bad(t, exitUsage, "queue", "purge", "--lane", "bulk", "--config", s.conf), "3 messages", "--yes")
		if got := decode(t, good(t, "queue", "purge", "--topic", "site/1", "--dry-run", "--json", "--config", s.conf)); got["messages"] != 3.0 || got["dry_run"] != true {
			t.Errorf("dry run: got %v", got)
		}
		if got := count(); got != 9 {
			t.Fatalf("got %v messages after nothing was dropped, want 9", got)
		}
		if got := decode(t, good(t, "queue", "purge", "--lane", "bulk", "--yes", "--json", "--config", s.conf)); got["messages"] != 3.0 || got["dry_run"] != false {
			t.Errorf("purge --lane: got %v", got)
		}
		says(t, good(t, "queue", "stats", "--config", s.conf), "3 (purged)")
		for _, tc := range []struct {
			answer, want string
			left         float64
		}{{"no\n", "nothing was dropped", 6}, {"y\n", "dropped 3 messages", 3}} {
			says(t, onTerminal(t, tc.answer, "queue", "purge", "--topic", "site/1", "--config", s.conf), "Drop 3 messages", tc.want)
			// Stopped, each command that ends reports losses: a receipt takes the place of what was dropped.
			if got := decode(t, good(t, "queue", "ls", "--topic", "site", "--limit", "50", "--json", "--config", s.conf)); len(got["messages"].([]any)) != int(tc.left) {
				t.Errorf("after the answer %q: got %d messages, want %v", tc.answer, len(got["messages"].([]any)), tc.left)
			}
		}
		good(t, "queue", "purge", "--all", "--yes", "--config", s.conf)
		if got := decode(t, good(t, "queue", "ls", "--topic", "site", "--json", "--config", s.conf)); len(got["messages"].([]any)) != 0 {
			t.Errorf("after purge --all: got %v", got)
		}
	})
}

// onTerminal runs the binary on a terminal, answers its question, and returns what the terminal shows.
func onTerminal(t *testing.T, answer string, args ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	tty, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	_ = tty.SetReadDeadline(time.Now().Add(30 * time.Second))
	var shown []byte
	buf := make([]byte, 4096)
	for asked := answer == ""; ; {
		n, err := tty.Read(buf)
		shown = append(shown, buf[:n]...)
		if !asked && bytes.Contains(shown, []byte("[y/N]")) {
			asked = true
			if _, err := io.WriteString(tty, answer); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil { // EIO: the program has closed its end
			break
		}
	}
	_ = cmd.Wait()
	return string(shown)
}

// Progress goes to standard error, to a terminal only, and without colour.
func TestQueueProgress(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	fill(t, s, readings(5000)...)
	file := filepath.Join(t.TempDir(), "stick.jsonl")
	shown := onTerminal(t, "", "queue", "export", file, "--config", s.conf)
	says(t, shown, "exporting", "5000 messages exported")
	if strings.Contains(shown, "\x1b[3") {
		t.Errorf("colour in spite of NO_COLOR: %q", shown)
	}
	office := newSite(t, unreachable)
	says(t, onTerminal(t, "", "queue", "import", file, "--config", office.conf), "importing", "5000 messages imported")
	if _, stderr, _ := call(t, "queue", "export", filepath.Join(t.TempDir(), "x"), "--config", s.conf); stderr != "" {
		t.Errorf("without a terminal: got %q on standard error", stderr)
	}
}

func TestQueueIsNowhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	for _, args := range [][]string{{"stats"}, {"ls"}, {"show", "1"}, {"export"}, {"purge", "--all", "--yes"}} {
		says(t, bad(t, exitUnreachable, append(append([]string{"queue"}, args...), "--config", s.conf)...), "no agent runs")
	}
	if _, err := os.Stat(s.data); !os.IsNotExist(err) {
		t.Errorf("asking has made %s", s.data)
	}
}

func TestQueueHeldByAnotherCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t, unreachable)
	q, err := queue.Open(queue.Config{Path: filepath.Join(s.data, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	says(t, bad(t, exitTemporary, "queue", "ls", "--config", s.conf), fmt.Sprint(os.Getpid()))
}
