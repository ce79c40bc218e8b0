package tree_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// misplaced lists what no file of the project may contain, and why. The patterns are written so that they don't match
// themselves.
var misplaced = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`\b(TO[D]O|FIX[M]E|X{3}|HA[C]K)\b|(?i:not (yet )?implemente[d]\b)`), "work left open: finish it or write an issue"},
	{regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])/(home|Users|root|work|workspace|builds?)/`), "a path of somebody's machine"},
	{regexp.MustCompile(`\b(proxy|sum)\.golang\.org|\bdeb\.debian\.org|\bregistry\.npmjs|\bpypi\.org`), "the host of a package registry: the tools know theirs"},
	{regexp.MustCompile(`-{5}BEGIN [A-Z ]*PRIVATE KE[Y]`), "a private key: make one in the test"},
}

func TestNothingMisplaced(t *testing.T) {
	for _, path := range tracked(t) {
		content, err := os.ReadFile(filepath.Join("../..", path))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(content, 0) >= 0 {
			continue // not text
		}
		for i, line := range strings.Split(string(content), "\n") {
			for _, m := range misplaced {
				if found := m.pattern.FindString(line); found != "" {
					t.Errorf("%s:%d: %q is %s", path, i+1, strings.TrimSpace(found), m.why)
				}
			}
		}
	}
}

func TestMisplacedIsFound(t *testing.T) {
	for _, line := range []string{
		"// TO" + "DO: later", "// X" + "XX", `panic("not ` + `implemented")`, "cd /ho" + "me/me/project", `"/ro` + `ot/x"`,
		"GOPROXY=https://proxy.gol" + "ang.org", "-----BEGIN EC PRIVATE " + "KEY-----",
	} {
		if !isMisplaced(line) {
			t.Errorf("%q was not noticed", line)
		}
	}
	for _, line := range []string{"XXXX", "/var/lib/fieldpost", "the work/life balance", "-----BEGIN CERTIFICATE-----", "todo list"} {
		if isMisplaced(line) {
			t.Errorf("%q was taken for misplaced", line)
		}
	}
}

func isMisplaced(line string) bool {
	for _, m := range misplaced {
		if m.pattern.MatchString(line) {
			return true
		}
	}
	return false
}

// Scripts have to be executable and to parse.
func TestScriptsParse(t *testing.T) {
	found := 0
	for _, path := range tracked(t) {
		full := filepath.Join("../..", path)
		if content, err := os.ReadFile(full); err != nil || !bytes.HasPrefix(content, []byte("#!/usr/bin/env bash\n")) {
			continue
		}
		found++
		info, err := os.Stat(full)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable: chmod +x", path)
		}
		if out, err := exec.CommandContext(t.Context(), "bash", "-n", full).CombinedOutput(); err != nil {
			t.Errorf("bash -n %s: %v\n%s", path, err, out)
		}
	}
	if found == 0 {
		t.Error("no script found")
	}
}

// tracked lists the files of the project: those that git knows, or all in a copy without git.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = "../.."
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	}
	var list []string
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == ".git":
			return filepath.SkipDir
		case entry.Type().IsRegular():
			rel, _ := filepath.Rel("../..", path)
			list = append(list, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
