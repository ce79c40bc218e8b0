package nats_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the agent as it is shipped, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fieldpost-nats")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "fieldpost")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/agent")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func removeBinary() {
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
}

// agent is a running fieldpost.
type agent struct {
	t    *testing.T
	path string
	conf string
	http string
	cmd  *exec.Cmd
}

// startAgent runs one whose broker is the cluster. link is the part of the configuration that says over what.
func startAgent(t *testing.T, nodes []*node, link string) *agent {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var urls []string
	for _, n := range nodes {
		urls = append(urls, strconv.Quote("mqtt://"+n.mqtt))
	}
	a := &agent{t: t, path: path, conf: filepath.Join(dir, "config.yaml"), http: freePorts(t, 1)[0]}
	text := fmt.Sprintf(`
device: pump-07
data_dir: %s
%s
broker: {url: [%s], cluster: true}
sources: {mqtt: {listen: off}, http: {listen: %s}}
web: {listen: off}
`, filepath.Join(dir, "data"), link, strings.Join(urls, ", "), a.http)
	if err := os.WriteFile(a.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a.cmd = exec.Command(path, "run", "--config", a.conf)
	a.cmd.Stderr = &log
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		if t.Failed() {
			t.Logf("log of the agent:\n%s", log.String())
		}
	})
	return a
}

// stop ends the agent as its service manager would.
func (a *agent) stop() {
	a.t.Helper()
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	if err := a.cmd.Wait(); err != nil {
		a.t.Errorf("the agent's end: %v", err)
	}
}

// broker is the address of the node that the agent has a session with; "": none.
func (a *agent) broker() string {
	var status struct {
		Link struct {
			Connected bool   `json:"connected"`
			Broker    string `json:"broker"`
		} `json:"link"`
	}
	out, _ := exec.Command(a.path, "status", "--json", "--config", a.conf).Output() // ends with 1 while it is not connected
	if json.Unmarshal(out, &status) != nil || !status.Link.Connected {
		return ""
	}
	return strings.TrimPrefix(status.Link.Broker, "mqtt://")
}

// reconnect ends the wait before the next attempt: it is long, so that a fleet doesn't return at once, and not what is tested.
func (a *agent) reconnect() { _ = exec.Command(a.path, "reconnect", "--config", a.conf).Run() }

// queued is how many readings the agent still has.
func (a *agent) queued() int {
	var stats struct {
		Messages int `json:"messages"`
	}
	out, err := exec.Command(a.path, "queue", "stats", "--json", "--config", a.conf).Output()
	if err != nil || json.Unmarshal(out, &stats) != nil {
		return -1
	}
	return stats.Messages
}

// accept hands readings over as a sensor does, once the agent listens. What this returns is promised to arrive.
func (a *agent) accept(topic string, qos, from, n int) []string {
	a.t.Helper()
	var accepted []string
	for first := from; first < from+n; first += 500 {
		var body bytes.Buffer
		last := min(first+500, from+n)
		for i := first; i < last; i++ {
			fmt.Fprintf(&body, "{\"topic\":\"site/%s\",\"payload\":%d,\"qos\":%d}\n", topic, i, qos)
			accepted = append(accepted, fmt.Sprintf("site.%s %d", topic, i))
		}
		eventually(a.t, "the agent accepts readings", 30*time.Second, func() bool {
			resp, err := http.Post("http://"+a.http+"/v1/messages", "application/x-ndjson", bytes.NewReader(body.Bytes()))
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusAccepted
		})
	}
	return accepted
}
