package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// site is a configuration on disk with listeners of its own.
type site struct {
	conf, data, mqtt, http string
}

// newSite writes a configuration; rest is YAML for link, modem and broker.
func newSite(t *testing.T, rest string) site {
	t.Helper()
	dir := t.TempDir()
	s := site{data: filepath.Join(dir, "data"), mqtt: freePort(t), http: freePort(t)}
	s.conf = writeFile(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(`
device: pump-07
data_dir: %s
sources: {mqtt: {listen: %s}, http: {listen: %s}}
web: {listen: off}
limits: {max_payload: 1KiB}
%s`, s.data, s.mqtt, s.http, rest))
	return s
}

// says wants every text in got.
func says(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("want %q in:\n%s", text, got)
		}
	}
}

func TestConfigurationMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "device: a\nmodem: {prot: /dev/x}\nbroker: {url: \"mqtt://b.example\"}\n", "config.yaml:2:9: unknown key \"prot\""},
		{"nearest key", "device: a\nmodem: {prot: /dev/x}\nbroker: {url: \"mqtt://b.example\"}\n", `did you mean "port"?`},
		{"caret", "device: a\nmodem: {prot: /dev/x}\nbroker: {url: \"mqtt://b.example\"}\n", "\n      |         ^"},
		{"quote in the APN", "device: a\nmodem: {apn: 'CM\"NET'}\nbroker: {url: \"mqtt://b.example\"}\n", "modem.apn"},
		{"no broker", "device: a\n", "broker.url"},
		{"wrong scheme", "device: a\nbroker: {url: \"http://b.example\"}\n", "mqtt://"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := writeFile(t, filepath.Join(dir, "config.yaml"), tc.text)
			for _, args := range [][]string{{"config", "check", file}, {"run", "--config", file}} {
				_, stderr, code := call(t, args...)
				if code != exitConfig {
					t.Errorf("%v: got exit code %d, want %d", args, code, exitConfig)
				}
				says(t, stderr, tc.want)
			}
		})
	}
	_, stderr, code := call(t, "run", "--config", filepath.Join(dir, "missing.yaml"))
	if code != exitConfig {
		t.Errorf("missing file: got exit code %d, want %d", code, exitConfig)
	}
	says(t, stderr, "missing.yaml", "fieldpost config init")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"stauts"}, `did you mean "status"?`},
		{[]string{"run", "--confg", "x"}, "--confg"},
		{[]string{"demo", "--messages", "0"}, "--messages"},
		{[]string{"sim"}, "pty"},
		{[]string{"sim", "--pty", filepath.Join(t.TempDir(), "x"), "--profile", "m59"}, "m95"},
		{[]string{"send", "--config", s.conf, "site/#", "1"}, "wildcard"},
		{[]string{"send", "--config", s.conf, "", "1"}, "empty"},
		{[]string{"send", "--config", s.conf, "--qos", "3", "a", "1"}, "--qos 3"},
		{[]string{"send", "--config", s.conf, "--lane", "fast", "a", "1"}, "alarm, normal"},
		{[]string{"send", "--config", s.conf, "a", strings.Repeat("x", 1025)}, "1024"},
	} {
		_, stderr, code := call(t, tc.args...)
		if code != exitUsage {
			t.Errorf("%v: got exit code %d, want %d", tc.args, code, exitUsage)
		}
		says(t, stderr, tc.want)
	}
}

// TestLinkFailures wants status to say what is wrong and what to do, and the agent to go on taking readings in.
func TestLinkFailures(t *testing.T) {
	t.Parallel()
	silent, name := silentPort(t)
	defer silent.Close()
	busy, busyName := silentPort(t)
	defer busy.Close()
	held := newSite(t, "modem: {port: "+busyName+"}\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	holder := fieldpost(t, "holder of the port", "run", "--config", held.conf)
	holder.waitFor("started", 20*time.Second)
	eventually(t, "the holder has the port", 20*time.Second, func() bool {
		out, _, _ := call(t, "status", "--json", "--config", held.conf)
		return strings.Contains(out, `"step":"power","state":"waiting"`)
	})

	for _, tc := range []struct{ name, rest, step, want string }{
		{"port missing", "modem: {port: /dev/no-such-modem}\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n", "port", "does not exist"},
		{"not a port", "modem: {port: /dev/null}\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n", "port", "/dev/null"},
		{"port busy", "modem: {port: " + busyName + "}\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n", "port", fmt.Sprint(holder.cmd.Process.Pid)},
		{"module silent", "modem: {port: " + name + "}\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n", "power", "no answer to AT"},
		{"broker refuses", "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n", "tcp", "refused"},
		{"name unknown", "link: system\nbroker: {url: \"mqtt://broker.invalid:1883\"}\n", "tcp", "broker.invalid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, tc.rest)
			agent := fieldpost(t, "agent", "run", "--config", s.conf)
			agent.waitFor("link is down", time.Minute)
			stdout, _, code := call(t, "status", "--config", s.conf)
			if code != exitFailed {
				t.Errorf("status: got exit code %d, want %d", code, exitFailed)
			}
			says(t, stdout, "x "+tc.step, tc.want)
			if _, stderr, code := call(t, "send", "--config", s.conf, "a/b", "1"); code != 0 {
				t.Errorf("send beside it: exit code %d: %s", code, stderr)
			}
			if code := agent.stop(10 * time.Second); code != 0 {
				t.Errorf("SIGTERM: exit code %d", code)
			}
		})
	}
}

// silentPort is a serial line with nobody at the other end.
func silentPort(t *testing.T) (master *os.File, name string) {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave.Name()
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users := filepath.Join(dir, "users")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", users, "pump-07", "right").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	broker := startMosquitto(t, "allow_anonymous false\npassword_file "+users)
	secret := writeFile(t, filepath.Join(dir, "password"), "wrong\n")
	s := newSite(t, fmt.Sprintf("link: system\nbroker: {url: \"mqtt://%s\", username: pump-07, password_file: %s}\n", broker.addr, secret))
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor("link is down", time.Minute)
	stdout, _, code := call(t, "status", "--config", s.conf)
	if code != exitFailed {
		t.Errorf("status: got exit code %d, want %d", code, exitFailed)
	}
	says(t, stdout, "BLOCKED", "x mqtt", "password")
	if strings.Contains(stdout+agent.text(), "wrong\n") || strings.Contains(agent.text(), `"wrong"`) {
		t.Error("the password is shown")
	}
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}

	writeFile(t, secret, "right\n")
	agent = fieldpost(t, "agent with the right password", "run", "--config", s.conf)
	agent.waitFor(`"connected"`, time.Minute)
	if stdout, _, code := call(t, "status", "--config", s.conf); code != 0 {
		t.Errorf("status: got exit code %d, want 0:\n%s", code, stdout)
	}
}

func TestSecondAgentOnTheSameQueue(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	first := fieldpost(t, "first agent", "run", "--config", s.conf)
	first.waitFor("started", 20*time.Second)
	begin := time.Now()
	_, stderr, code := call(t, "run", "--config", s.conf)
	if code != exitTemporary {
		t.Errorf("got exit code %d, want %d", code, exitTemporary)
	}
	says(t, stderr, filepath.Join(s.data, "queue.db"), fmt.Sprint(first.cmd.Process.Pid))
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v to say so", took)
	}
}

func TestHTTPRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, "link: system\nbroker: {url: \"mqtt://127.0.0.1:1\"}\n")
	agent := fieldpost(t, "agent", "run", "--config", s.conf)
	eventually(t, "the listener is up", 20*time.Second, func() bool {
		c, err := net.Dial("tcp", s.http)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	for _, tc := range []struct {
		path, body string
		want       int
	}{
		{"/v1/messages/site/%23", "1", http.StatusBadRequest},
		{"/v1/messages/site/%2B/x", "1", http.StatusBadRequest},
		{"/v1/messages/site/x", strings.Repeat("x", 1025), http.StatusRequestEntityTooLarge},
		{"/v1/messages/site/x", "1", http.StatusAccepted},
	} {
		resp, err := http.Post("http://"+s.http+tc.path, "text/plain", strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%s: got %s, want %d", tc.path, resp.Status, tc.want)
		}
	}
	agent.kill()
	// A stopped agent's queue answers from its file.
	stdout, _, code := call(t, "queue", "stats", "--json", "--config", s.conf)
	if got := decode(t, stdout)["messages"]; code != 0 || got != float64(1) {
		t.Errorf("got exit code %d and %v messages, want 0 and the one that was accepted", code, got)
	}
	stdout, _, code = call(t, "status", "--json", "--config", s.conf)
	if got := decode(t, stdout); code != exitUnreachable || got["running"] != false || got["verdict"] != "stopped" {
		t.Errorf("got exit code %d, %s", code, stdout)
	}
}
