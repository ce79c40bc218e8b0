package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldpost/fieldpost/agent"
	"github.com/fieldpost/fieldpost/agent/web/control"
	"github.com/fieldpost/fieldpost/queue"
)

// start runs a server on a socket of its own until the test ends; change may adjust its configuration.
func start(t *testing.T, change func(*control.Config)) *control.Client {
	t.Helper()
	cfg := config(filepath.Join(t.TempDir(), "control.sock"))
	if change != nil {
		change(&cfg)
	}
	client, _ := run(t, cfg)
	return client
}

// noQueue is for tests that don't touch it.
type noQueue struct{ control.Queue }

func config(path string) control.Config {
	return control.Config{
		Path:       path,
		Status:     func() agent.Status { return agent.Status{Device: "pump-07"} },
		QueueStats: func() agent.QueueStatus { return agent.QueueStatus{Messages: 3} },
		Put:        func(context.Context, queue.Message) (uint64, error) { return 1, nil },
		Queue:      noQueue{},
		Reconnect:  func() {},
	}
}

// run starts a server, waits until it answers, and returns what stops it and waits for its end.
func run(t *testing.T, cfg control.Config) (client *control.Client, stop func()) {
	t.Helper()
	server, err := control.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	client = control.NewClient(cfg.Path)
	for {
		_, err := client.Status(t.Context())
		if err == nil {
			return client, stop
		}
		if !errors.Is(err, control.ErrNotRunning) {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Run ended early: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestStatus(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	want := agent.Status{
		Schema: agent.StatusSchema, Device: "pump-07", Running: true, Verdict: agent.VerdictOK, Reason: "connected", Time: now, StartedAt: &now,
		Sources: []agent.SourceStatus{{Name: "mqtt", LastTopic: "a/<b>"}}, Outages: []agent.Outage{{From: now, Cause: agent.CauseLost}},
	}
	client := start(t, func(c *control.Config) { c.Status = func() agent.Status { return want } })
	got, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestQueueStats(t *testing.T) {
	want := agent.QueueStatus{Messages: 7, Lanes: map[string]uint64{"alarm": 2, "normal": 5}}
	client := start(t, func(c *control.Config) { c.QueueStats = func() agent.QueueStatus { return want } })
	got, err := client.QueueStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queue stats (-want +got):\n%s", diff)
	}
}

func TestReconnect(t *testing.T) {
	asked := make(chan struct{}, 1)
	client := start(t, func(c *control.Config) { c.Reconnect = func() { asked <- struct{}{} } })
	if err := client.Reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	default:
		t.Error("the agent was not asked")
	}
}

func TestSocketIsPrivate(t *testing.T) {
	// The mode must not hang on the umask that the agent was started with.
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	cfg := config(filepath.Join(t.TempDir(), "control.sock"))
	run(t, cfg)
	info, err := os.Stat(cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode(), os.ModeSocket|0o600; got != want {
		t.Errorf("mode of the socket: got %v, want %v", got, want)
	}
}

func TestSocketGoesWithTheAgent(t *testing.T) {
	cfg := config(filepath.Join(t.TempDir(), "control.sock"))
	client, stop := run(t, cfg)
	stop()
	if _, err := os.Lstat(cfg.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket after the agent's end: got %v, want none", err)
	}
	if _, err := client.Status(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Status: got %v, want ErrNotRunning", err)
	}
}

// leaveStale makes a socket that nobody listens on, as a killed agent leaves it.
func leaveStale(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := leaveStale(t)
	if _, err := control.NewClient(path).Status(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Status on a dead agent's socket: got %v, want ErrNotRunning", err)
	}
	client, _ := run(t, config(path))
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("Status: %v", err)
	}
}

func TestLiveSocketIsRefused(t *testing.T) {
	cfg := config(filepath.Join(t.TempDir(), "control.sock"))
	client, _ := run(t, cfg)
	second, err := control.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = second.Run(t.Context())
	if !errors.Is(err, control.ErrRunning) || !strings.Contains(err.Error(), cfg.Path) {
		t.Errorf("a second agent: got %v, want ErrRunning with the path", err)
	}
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("the first agent after that: %v", err)
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, err := control.New(config(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("Run: got %v, want a refusal", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "precious" {
		t.Errorf("the file afterwards: got %q, %v", got, err)
	}
}

func TestUnusablePath(t *testing.T) {
	for name, test := range map[string]struct{ path, want string }{
		"too long":  {"/tmp/" + strings.Repeat("x", 110), "the system allows 107"},
		"no folder": {filepath.Join(t.TempDir(), "missing", "control.sock"), "check that the agent may write to"},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := control.New(config(test.path))
			if err != nil {
				t.Fatal(err)
			}
			if err := server.Run(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Run: got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	for name, spoil := range map[string]func(*control.Config){
		"path":        func(c *control.Config) { c.Path = "" },
		"status":      func(c *control.Config) { c.Status = nil },
		"queue stats": func(c *control.Config) { c.QueueStats = nil },
		"put":         func(c *control.Config) { c.Put = nil },
		"queue":       func(c *control.Config) { c.Queue = nil },
		"reconnect":   func(c *control.Config) { c.Reconnect = nil },
		"QoS":         func(c *control.Config) { c.QoS = 3 },
	} {
		cfg := config("/tmp/control.sock")
		spoil(&cfg)
		if _, err := control.New(cfg); err == nil {
			t.Errorf("New with a bad %s: got no error", name)
		}
	}
	if _, err := control.New(config("/tmp/control.sock")); err != nil {
		t.Errorf("New: %v", err)
	}
}

func TestNotRunning(t *testing.T) {
	client := control.NewClient(filepath.Join(t.TempDir(), "control.sock"))
	_, err := client.Send(t.Context(), "a", nil, control.SendOptions{})
	if !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("Send: got %v, want ErrNotRunning", err)
	}
}
