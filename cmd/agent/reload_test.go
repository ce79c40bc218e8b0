package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/crypto/bcrypt"
)

// hangUp sends SIGHUP and waits for another line with the text.
func (p *program) hangUp(text string) {
	p.t.Helper()
	before := strings.Count(p.text(), text)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, p.name+" says "+text, 20*time.Second, func() bool { return strings.Count(p.text(), text) > before })
}

func mayLogIn(t *testing.T, addr, user, password string) bool {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(user).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false))
	token := client.Connect()
	if !token.WaitTimeout(20 * time.Second) {
		t.Fatal("no answer to a login")
	}
	client.Disconnect(0)
	return token.Error() == nil
}

func userLine(t *testing.T, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash) + "\n"
}

func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	local, web := freePort(t), freePort(t)
	users := writeFile(t, filepath.Join(dir, "users"), userLine(t, "plc", "first"))
	token := writeFile(t, filepath.Join(dir, "token"), "0123456789abcdef")
	text := func(level, more string) string {
		return fmt.Sprintf(`device: pump-07
data_dir: %s
link: system
broker: {url: "mqtt://127.0.0.1:1"}
sources:
  mqtt: {listen: %s, users_file: %s}
  http: {listen: ""}
web: {listen: %s, token_file: %s}
downlink: {enabled: true, allow: [status]}
log: {level: %s, format: json}
%s`, filepath.Join(dir, "data"), local, users, web, token, level, more)
	}
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), text("info", ""))
	agent := fieldpost(t, "agent", "run", "--config", conf)
	agent.waitFor("status page is up", 20*time.Second)
	asks := func(want int, token string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the page answers %d", want), 20*time.Second, func() bool {
			req, err := http.NewRequest(http.MethodGet, "http://"+web+"/api/v1/status", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == want
		})
	}
	asks(http.StatusOK, "0123456789abcdef")
	if !mayLogIn(t, local, "plc", "first") {
		t.Fatal("the first password is refused")
	}

	// A bad file changes nothing, and is told in the words of config check.
	writeFile(t, conf, text("debug", "downlnik: {}\n"))
	agent.hangUp("configuration not reloaded")
	_, want, code := call(t, "config", "check", conf)
	if code != 78 || !strings.Contains(want, `did you mean "downlink"?`) {
		t.Fatalf("config check: %d %s", code, want)
	}
	said := decode(t, lineWith(t, agent.text(), "configuration not reloaded"))["error"].(string)
	if !strings.Contains(want, strings.TrimSpace(said)) {
		t.Errorf("got %q, want what config check says: %q", said, want)
	}
	if strings.Contains(agent.text(), `"level":"debug"`) {
		t.Error("half of a bad file is in force")
	}

	// What can be put in force is; what can't is named.
	writeFile(t, users, userLine(t, "plc", "second"))
	writeFile(t, token, "fedcba9876543210")
	writeFile(t, conf, text("debug", "queue: {max_age: 48h}\n"))
	agent.hangUp("need a restart of the agent")
	if line := lineWith(t, agent.text(), "configuration reloaded"); !strings.Contains(line, `"changed":["log.level","web.token"]`) {
		t.Errorf("put in force: %s", line)
	}
	if line := lineWith(t, agent.text(), "need a restart"); !strings.Contains(line, `["queue.max_age"]`) {
		t.Errorf("needs a restart: %s", line)
	}
	asks(http.StatusUnauthorized, "0123456789abcdef")
	asks(http.StatusOK, "fedcba9876543210")
	if mayLogIn(t, local, "plc", "first") || !mayLogIn(t, local, "plc", "second") {
		t.Error("the old users are still in force")
	}
	good(t, "reconnect", "--config", conf) // whose steps are told at this level only
	agent.waitFor(`"level":"debug"`, 20*time.Second)

	// A listener that the new file closes to the network keeps its token until it does.
	writeFile(t, conf, strings.ReplaceAll(text("debug", ""), fmt.Sprintf("web: {listen: %s, token_file: %s}", web, token), "web: {listen: \"127.0.0.1:0\"}"))
	agent.hangUp("need a restart of the agent")
	asks(http.StatusUnauthorized, "")

	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	agent.hangUp("configuration not reloaded")
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: got exit code %d", code)
	}
}

// TestReloadOfCredentials mends a wrong password while the agent waits for hours, and sets a budget. What else has changed of the broker
// needs a restart.
func TestReloadOfCredentials(t *testing.T) {
	t.Parallel()
	h := startHarsh(t, &harsh{pass: "right"})
	dir := t.TempDir()
	secret := writeFile(t, filepath.Join(dir, "password"), "wrong")
	text := func(more string) string {
		return fmt.Sprintf(`device: pump-07
data_dir: %s
link: system
broker: {url: "mqtt://%s", username: pump-07, password_file: %s%s
sources: {http: {listen: ""}, mqtt: {listen: ""}}
web: {listen: ""}
log: {format: json}
`, filepath.Join(dir, "data"), h.ln.Addr(), secret, more)
	}
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), text("}"))
	agent := fieldpost(t, "agent", "run", "--config", conf)
	agent.waitFor("link is down", 20*time.Second)
	sendOne(t, conf, "1")
	writeFile(t, secret, "right")
	writeFile(t, conf, text(", qos: 2}\nbudget: {monthly_bytes: 5MB}"))
	agent.hangUp("need a restart of the agent")
	if line := lineWith(t, agent.text(), "configuration reloaded"); !strings.Contains(line, `"changed":["broker.password","budget.monthly_bytes"]`) {
		t.Errorf("put in force: %s", line)
	}
	if line := lineWith(t, agent.text(), "need a restart"); !strings.Contains(line, `"broker.qos"`) {
		t.Errorf("needs a restart: %s", line)
	}
	eventually(t, "the reading arrives", 20*time.Second, func() bool { return h.has("site/x") })
	out, _, _ := call(t, "status", "--json", "--config", conf)
	if got := decode(t, out)["usage"].(map[string]any)["budget_bytes"]; got != float64(5_000_000) {
		t.Errorf("the budget is %v, want 5 MB", got)
	}
	if code := agent.stop(10 * time.Second); code != 0 {
		t.Errorf("SIGTERM: got exit code %d", code)
	}
}

// lineWith returns the last line with the text.
func lineWith(t *testing.T, output, text string) string {
	t.Helper()
	found := ""
	for line := range strings.Lines(output) {
		if strings.Contains(line, text) {
			found = line
		}
	}
	if found == "" {
		t.Fatalf("no line with %q", text)
	}
	return found
}
