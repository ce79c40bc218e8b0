package nats_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// size of the cluster, and how often it has each message.
const size = 3

// node is one server of the cluster.
type node struct {
	t      *testing.T
	config string
	log    string

	client, mqtt, route, monitor string // addresses

	cmd    *exec.Cmd
	exited chan struct{}
}

// startCluster returns when all nodes are in step.
func startCluster(t *testing.T) []*node {
	t.Helper()
	dir, ports := t.TempDir(), freePorts(t, 4*size)
	var nodes []*node
	var routes []string
	for i := range size {
		p := ports[4*i:]
		nodes = append(nodes, &node{
			t: t, config: filepath.Join(dir, fmt.Sprintf("node%d.conf", i)), log: filepath.Join(dir, fmt.Sprintf("node%d.log", i)),
			client: p[0], mqtt: p[1], route: p[2], monitor: p[3],
		})
		routes = append(routes, "nats://"+p[2])
	}
	for i, n := range nodes {
		text := fmt.Sprintf(`
server_name: node%d
listen: %s
http: %s
log_file: %q
jetstream { store_dir: %q, max_memory_store: 64MB, max_file_store: 1GB }
cluster { name: cloud, listen: %s, routes: [%s] }
mqtt { listen: %s, stream_replicas: %d }
`, i, n.client, n.monitor, n.log, filepath.Join(dir, fmt.Sprintf("store%d", i)), n.route, strings.Join(routes, ", "), n.mqtt, size)
		if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		t.Cleanup(func() {
			n.kill()
			if text, err := os.ReadFile(n.log); t.Failed() && err == nil {
				t.Logf("log of %s:\n%s", n.mqtt, text[max(0, len(text)-4000):])
			}
		})
	}
	for _, n := range nodes {
		n.waitInStep()
	}
	return nodes
}

func (n *node) start() {
	n.t.Helper()
	n.cmd, n.exited = exec.Command(os.Args[0]), make(chan struct{})
	n.cmd.Env = append(os.Environ(), nodeConfig+"="+n.config)
	n.cmd.Stderr = os.Stderr
	if _, err := n.cmd.StdinPipe(); err != nil { // ends with this process, and the node with it
		n.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) { // kill waits for it
		_ = cmd.Wait()
		close(exited)
	}(n.cmd, n.exited)
}

// kill is the power cut of a node.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	<-n.exited
}

// waitInStep waits until the node says that it has what the others have.
func (n *node) waitInStep() {
	n.t.Helper()
	eventually(n.t, n.mqtt+" is in step with the cluster", time.Minute, func() bool {
		resp, err := http.Get("http://" + n.monitor + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// freePorts finds addresses of the loopback interface that nobody listens on, all different.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	slices.Sort(addresses)
	return addresses
}

// eventually polls what runs in other processes until ok or the time is up.
func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
