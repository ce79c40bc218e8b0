package main

import (
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runElsewhere are the documented commands that the scripts don't run, and what does instead.
var runElsewhere = map[string]string{
	"go run ./cmd/agent demo": "TestDemoOfOneReading runs the built one",
	"scripts/test":            "it runs this test",
	"CGO_ENABLED=0 go build -trimpath -o fieldpost ./cmd/agent":                               "the tests' own binary is built as plainly, and TestImage builds the image's",
	"docker build -t fieldpost --build-arg VERSION=1.0 .":                                     "it needs a container engine; TestImage of internal/release builds the same",
	"buildah build --isolation chroot --format docker -t fieldpost --build-arg VERSION=1.0 .": "TestImage of internal/release runs it, offline",
	"docker run --read-only --cap-drop ALL --security-opt no-new-privileges --device /dev/modem --group-add dialout " +
		"-v /etc/fieldpost:/etc/fieldpost:ro -v fieldpost:/var/lib/fieldpost fieldpost": "it needs a container engine",
	"go -C test/nats test -count=1 -v ./...":                    "it kills nodes of a cluster for minutes; scripts/soak runs it",
	"scripts/bench storm":                                       "a benchmark of minutes",
	"openssl s_time -connect broker.example:8883 -new -time 10": "it measures somebody's broker",
	`curl -X POST -H "Authorization: Bearer $(cat /etc/fieldpost/web-token)" http://127.0.0.1:8080/api/v1/actions/reconnect`: "TestActions of agent/web posts so",
	"scripts/package --version 1.0.0 armhf":                                                            "it builds for minutes; the packages have a test of their own",
	"sudo apt install ./dist/fieldpost_1.0.0_armhf.deb":                                                "it changes the machine; the packages have a test of their own",
	"CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=6 go build -trimpath -o fieldpost ./cmd/agent":          "scripts/test builds for this board",
	"mosquitto_sub -h broker.example -t pump-07/answer &":                                              "the tests of downlink commands subscribe so",
	`mosquitto_pub -h broker.example -q 1 -t pump-07/cmd/status -m '{"id":"a1"}'`:                      "the tests of downlink commands publish so",
	"mosquitto_sub -p 1884 -q 1 -i plc -t 'fieldpost/cmd/#' -v &":                                      "the tests of downlink commands subscribe so",
	`mosquitto_pub -h broker.example -q 1 -t pump-07/cmd/valve -m '{"id":"a2","args":{"percent":40}}'`: "the tests of downlink commands publish so",
}

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	remark     = regexp.MustCompile(`\s+# .*$`)
	inline     = regexp.MustCompile("`(fieldpost [^`]*)`")
)

// userDocs are the pages that tell people what to type.
func userDocs(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no docs: %v", err)
	}
	pages := make(map[string]string)
	for _, path := range append(paths, "../../README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(path)] = string(text)
	}
	return pages
}

// documented returns every command of the docs' shell blocks, without the remark behind it.
func documented(t *testing.T) []string {
	var list []string
	for _, text := range userDocs(t) {
		for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
			joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(block[1], "")
			for line := range strings.Lines(joined) {
				if line = strings.TrimSpace(remark.ReplaceAllString(strings.TrimSpace(line), "")); line != "" && !strings.HasPrefix(line, "#") {
					list = append(list, line)
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// docRunner runs commands as the docs write them.
type docRunner struct {
	t          *testing.T
	documented []string

	mu  sync.Mutex
	ran map[string]bool // guarded by mu
}

// TestDocumentedCommands runs testdata/docs. In these scripts "doc LINE" runs a line of the docs to its end, and "doc LINE &"
// in the background until the script ends. Ports, the broker and the configuration's place are put in by the test.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	broker := startMosquitto(t, "")
	r := &docRunner{t: t, documented: documented(t), ran: make(map[string]bool)}
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata/docs",
			Setup: func(env *testscript.Env) error {
				env.Setenv("PATH", env.WorkDir+string(os.PathListSeparator)+env.Getenv("PATH"))
				env.Setenv("BROKER", broker.addr)
				env.Setenv("MQTT", freePort(t))
				env.Setenv("HTTP", freePort(t))
				if err := os.Mkdir(filepath.Join(env.WorkDir, "stick"), 0o755); err != nil {
					return err
				}
				return os.Symlink(path, filepath.Join(env.WorkDir, "fieldpost"))
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){"doc": r.doc, "hex": writeHex, "listening": listening},
		})
	})
	for _, line := range r.documented {
		if !r.ran[line] && runElsewhere[line] == "" {
			t.Errorf("the docs name a command that no script in testdata/docs runs: %s", line)
		}
	}
	for line := range runElsewhere {
		if !slices.Contains(r.documented, line) {
			t.Errorf("the docs no longer name %q: take it out of runElsewhere", line)
		}
	}
}

func (r *docRunner) doc(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || !slices.Contains(r.documented, args[0]) {
		ts.Fatalf("the docs have no such command: %q", args)
	}
	r.mu.Lock()
	r.ran[args[0]] = true
	r.mu.Unlock()
	_, mqttPort, _ := net.SplitHostPort(ts.Getenv("MQTT"))
	_, brokerPort, _ := net.SplitHostPort(ts.Getenv("BROKER"))
	line := strings.NewReplacer("-p 1884", "-p "+mqttPort, "127.0.0.1:8081", ts.Getenv("HTTP"), "/media/stick", ts.MkAbs("stick"),
		"-h broker.example", "-C 1 -W 20 -h 127.0.0.1 -p "+brokerPort).Replace(args[0])
	if config := ts.MkAbs("config.yaml"); needsConfig(line) {
		line += " --config " + config
	}
	if len(args) == 2 && args[1] == "&" {
		background(r.t, ts, line)
		return
	}
	if err := ts.Exec("bash", "-c", line); (err != nil) != neg {
		ts.Fatalf("%s: %v", line, err)
	}
}

// needsConfig tells whether a command of ours looks for its configuration where a box has it.
func needsConfig(line string) bool {
	words := strings.Fields(line)
	if filepath.Base(words[0]) != "fieldpost" || strings.Contains(line, "--config") {
		return false
	}
	cmd, _, err := newRoot().Find(words[1:])
	return err == nil && cmd.Flags().Lookup("config") != nil
}

// background runs a line until the script ends, where it has to end well.
func background(t *testing.T, ts *testscript.TestScript, line string) {
	log, err := os.Create(ts.MkAbs("background.log"))
	ts.Check(err)
	cmd := exec.Command("bash", "-c", "exec "+line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), log, log
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		log.Close()
		if err != nil {
			text, _ := os.ReadFile(log.Name())
			t.Errorf("%s: %v\n%s", line, err, text)
		}
	})
}

// listening waits until an address takes connections.
func listening(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", args[0], time.Second)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody listens on %s: %v", args[0], err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// writeHex writes bytes that are given in hexadecimal.
func writeHex(ts *testscript.TestScript, _ bool, args []string) {
	b, err := hex.DecodeString(strings.Join(args[1:], ""))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// TestDocsNameRealCommands: what stands between backquotes in a text is a command that is there, with flags that it has.
func TestDocsNameRealCommands(t *testing.T) {
	t.Parallel()
	for page, text := range userDocs(t) {
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			words := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(m[1]))[1:]
			for i := range words { // of alternatives the first
				words[i], _, _ = strings.Cut(words[i], "|")
			}
			cmd, rest, err := newRoot().Find(words)
			if err != nil || cmd.HasSubCommands() && len(rest) > 0 {
				t.Errorf("%s: there is no %q", page, m[1])
				continue
			}
			for _, word := range rest {
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag && flagOf(cmd, name) == nil {
					t.Errorf("%s: %q has no flag %s", page, m[1], word)
				}
			}
		}
	}
}

func flagOf(cmd *cobra.Command, name string) *pflag.Flag {
	name, _, _ = strings.Cut(name, "=")
	return cmd.Flags().Lookup(name)
}

// TestReadmeHasEveryCommand: its table names each command that a person is to see.
func TestReadmeHasEveryCommand(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	for line := range strings.Lines(userDocs(t)["README.md"]) {
		if cells := strings.Split(strings.ReplaceAll(line, `\|`, " "), "|"); len(cells) > 2 && strings.HasPrefix(cells[1], " `") {
			table.WriteString(" " + strings.NewReplacer("`", " ", ",", " ").Replace(cells[1]) + "\n")
		}
	}
	err := eachCommand(newRoot(), func(cmd *cobra.Command) error {
		if cmd.HasParent() && !cmd.HasSubCommands() && cmd.Parent().Name() != "completion" && !strings.Contains(table.String(), " "+cmd.Name()+" ") {
			t.Errorf("README.md doesn't name %q in its table of commands", cmd.CommandPath())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
