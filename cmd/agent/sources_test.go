package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Sources that can't work are shown with their causes, and those that can do.
func TestFailingSourcesStopNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := writeFile(t, filepath.Join(dir, "log"), "1,2\nnonsense\n3,4\n")
	conf := writeFile(t, filepath.Join(dir, "config.yaml"), `
device: pump-07
data_dir: `+filepath.Join(dir, "data")+`
link: system
broker: {url: "mqtt://127.0.0.1:1"}
web: {listen: off}
sources:
  mqtt: {listen: off}
  http: {listen: off}
  exec:
    - {name: crash, command: [/bin/sh, -c, "echo broken >&2; exit 4"], interval: 1h}
    - {name: hang, command: [/bin/sleep, "1000"], interval: 1h, timeout: 1s}
    - {name: flood, command: [/usr/bin/yes], interval: 1h}
    - {name: follow, command: [/bin/sh, -c, "echo 7; exec sleep 1000"]}
  serial:
    - {name: port, port: /dev/no-such-port}
  sysfs:
    - {name: thermometers, kind: w1, path: /does/not/exist}
  modbus:
    - {name: meter, url: "tcp://127.0.0.1:1", registers: [{field: volts}]}
    - {name: line, url: "rtu:///dev/no-such-line", registers: [{field: volts}]}
  tail:
    - {name: missing, path: /does/not/exist}
    - {name: good, path: `+log+`, from: start, format: csv, columns: [a, b], topic: "{device}/{source}/{field}"}
`)
	s := site{conf: conf}
	agent := fieldpost(t, "agent", "run", "--config", conf)
	eventually(t, "the readings of those that work", 20*time.Second, func() bool {
		got := queued(t, s)
		return got["pump-07/good/a"] == "3" && got["pump-07/good/b"] == "4" && got["pump-07/follow"] == "7"
	})
	causes := []string{
		"ended with exit status 4: broken", "ran longer than 1s and was killed", "printed more than", "/dev/no-such-port does not exist",
		"is the kernel's driver loaded?", "connection refused", "/dev/no-such-line does not exist", "/does/not/exist: no such file",
	}
	eventually(t, "the causes of the others", 20*time.Second, func() bool {
		out, _, _ := call(t, "status", "--json", "--config", conf)
		missing := 0
		for _, cause := range causes {
			if !strings.Contains(out, cause) {
				missing++
			}
		}
		return missing == 0
	})
	if code := agent.stop(15 * time.Second); code != 0 {
		t.Errorf("the agent ended with %d, want 0", code)
	}
}
