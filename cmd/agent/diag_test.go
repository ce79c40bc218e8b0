package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unpack returns the files of an archive by their names in it, without the folder.
func unpack(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(text)
	}
}

// planted are secrets and readings that must show nowhere.
var planted = map[string]string{
	"broker": "planted-broker-secret", "http": "planted-http-token-0123456789", "web": "planted-web-token-0123456789",
	"pin": "8462", "apn": "planted-apn-password", "payload": "planted-payload-of-a-reading",
}

// plant configures an agent with all of them on the simulated module, and makes it do something with each.
func plant(t *testing.T) (s site, agent *program) {
	t.Helper()
	broker := startMosquitto(t, "allow_anonymous true")
	dir := t.TempDir()
	file := func(name string) string { return writeFile(t, filepath.Join(dir, name), planted[name]+"\n") }
	s = site{data: filepath.Join(dir, "data"), mqtt: freePort(t), http: freePort(t)}
	s.conf = writeFile(t, filepath.Join(dir, "config.yaml"), fmt.Sprintf(`
device: pump-07
data_dir: %s
modem: {port: sim, apn: CMNET, user: someone, password_file: %s, pin_file: %s}
broker: {url: "mqtt://%s", username: pump-07, password_file: %s}
sources: {mqtt: {listen: %s}, http: {listen: %s, token_file: %s}}
web: {listen: "%s", token_file: %s}
log: {level: trace}
`, s.data, file("apn"), file("pin"), broker.addr, file("broker"), s.mqtt, s.http, file("http"), freePort(t), file("web")))
	agent = fieldpost(t, "agent", "run", "--config", s.conf)
	agent.waitFor("connected", time.Minute)
	for _, token := range []string{planted["http"], "wrong"} {
		req, err := http.NewRequest("POST", "http://"+s.http+"/v1/messages/site/pressure", strings.NewReader(planted["payload"]))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if _, stderr, code := call(t, "send", "--config", s.conf, "site/flow", planted["payload"]); code != 0 {
		t.Fatalf("send: %s", stderr)
	}
	return s, agent
}

// TestDiag wants one file with all of it, while the agent runs and after its end, and nothing planted in it or in the log.
func TestDiag(t *testing.T) {
	t.Parallel()
	s, agent := plant(t)
	running := filepath.Join(t.TempDir(), "running.tar.gz")
	if stdout, stderr, code := call(t, "diag", "--config", s.conf, running); code != 0 || !strings.Contains(stdout, running) {
		t.Fatalf("got exit code %d: %s%s", code, stdout, stderr)
	}
	if info, err := os.Stat(running); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	files := unpack(t, running)
	for _, name := range []string{"version.json", "config.yaml", "status.json", "status.txt", "queue.json", "outages.json", "log.jsonl", "modem.json",
		"doctor.json", "ports.json", "data_dir.txt", "system/osrelease.txt"} {
		if len(files[name]) < 2 {
			t.Errorf("%s is missing: %q", name, files[name+".missing"])
		}
		if strings.HasSuffix(name, ".json") && !json.Valid([]byte(files[name])) {
			t.Errorf("%s is no JSON:\n%s", name, files[name])
		}
	}
	says(t, files["config.yaml"], "pump-07", "CMNET")
	says(t, files["log.jsonl"], `"message":"started"`, `"message":"connected"`)
	says(t, files["modem.json"], "…")
	if _, stderr, code := call(t, "diag", "--config", s.conf, running); code != exitFailed || !strings.Contains(stderr, "exists") {
		t.Errorf("an existing file: got exit code %d: %s", code, stderr)
	}
	if code := agent.stop(15 * time.Second); code != 0 {
		t.Errorf("SIGTERM: exit code %d", code)
	}

	stopped := filepath.Join(t.TempDir(), "stopped.tar.gz")
	if _, stderr, code := call(t, "diag", "--config", s.conf, stopped); code != 0 {
		t.Fatalf("got exit code %d: %s", code, stderr)
	}
	after := unpack(t, stopped)
	says(t, after["status.json"], `"stopped"`)
	says(t, after["log.jsonl.missing"], "not running")

	texts := map[string]string{"the log": agent.text()}
	for name, text := range files {
		texts[name] = text
	}
	for name, text := range after {
		texts["stopped "+name] = text
	}
	for where, text := range texts {
		for what, secret := range planted {
			if what == "pin" {
				secret = `"` + secret + `"`
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s of %s is shown in %s", what, planted[what], where)
			}
		}
	}
}

// TestDiagMasks what nobody has thought of.
func TestDiagMasks(t *testing.T) {
	t.Parallel()
	d := diagnosis{device: "a", secrets: []string{`pass"wörd`, "1234"}}
	for _, text := range []string{`x pass"wörd x`, `{"a":"pass\"wörd"}`, `"1234"`, "AT+CPIN=1234"} {
		if got := string(d.mask([]byte(text))); !strings.Contains(got, "****") || strings.Contains(got, "wörd") || strings.Contains(got, "1234") {
			t.Errorf("%s: got %s", text, got)
		}
	}
	if got := string(d.mask([]byte(`"bytes": 1234`))); got != `"bytes": 1234` {
		t.Errorf("a count is masked: %s", got)
	}
}

// TestDiagOfABrokenConfiguration says what is wrong with it and what else can be had.
func TestDiagOfABrokenConfiguration(t *testing.T) {
	t.Parallel()
	conf := writeFile(t, filepath.Join(t.TempDir(), "config.yaml"), "devcie: a\nbroker: {password: planted}\n")
	stdout, stderr, code := call(t, "diag", "--config", conf, "-")
	if code != 0 {
		t.Fatalf("got exit code %d: %s", code, stderr)
	}
	file := filepath.Join(t.TempDir(), "x.tar.gz")
	if err := os.WriteFile(file, bytes.NewBufferString(stdout).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, file)
	says(t, files["config.yaml.missing"], `did you mean "device"?`)
	if strings.Contains(files["config.yaml.missing"], "planted") {
		t.Error("the secret is shown")
	}
	if files["version.json"] == "" {
		t.Error("no versions")
	}
}
