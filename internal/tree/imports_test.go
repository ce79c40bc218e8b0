// Package tree_test holds the rules about the source tree as a whole: who may import whom, and what no file may contain.
package tree_test

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/fieldpost/fieldpost"

// Modules from outside that the rules speak of.
const (
	bbolt  = "go.etcd.io/bbolt"
	paho   = "github.com/eclipse/paho.mqtt.golang"
	serial = "go.bug.st/serial"
	gpio   = "github.com/warthog618/go-gpiocdev"
	pty    = "github.com/creack/pty"
	cobra  = "github.com/spf13/cobra"
)

// anything stands for every import path.
const anything = "..."

// rule says what the packages that match pkg may import. A pattern is a path, or a path and "/..." for it and all below.
// The standard library and golang.org/x/sys, its extension, are open to all.
type rule struct {
	pkg     string
	ours    []string // of this module
	outside []string // of other modules
	never   []string // exceptions from outside
	oneFile []string // of outside, those that only one file of the package may import
	logs    bool     // whether the package may write a log; the others return errors
	tests   []string // what test files may import of this module beyond ours
}

// rules is the table of docs/decisions/packages.md. The first row that matches a package counts.
//
// queue, gsmnet and mqttconn don't know one another, so that each can be read, tested, replaced and reused alone. Tests
// of gsmnet run against the simulated module; tests of the agent may use everything below cmd.
var rules = []rule{
	{pkg: "queue/...", ours: []string{"queue/..."}, outside: []string{bbolt}},
	{pkg: "gsmnet/at"},
	{pkg: "gsmnet/gsmsim", outside: []string{pty}},
	{
		pkg: "gsmnet", ours: []string{"gsmnet/at"}, outside: []string{serial, gpio},
		oneFile: []string{serial, gpio}, tests: []string{"gsmnet/gsmsim"},
	},
	{pkg: "mqttconn/...", ours: []string{"mqttconn/..."}, outside: []string{paho}},
	{pkg: "agent/sysnet"},
	{pkg: "agent/envelope"},
	{
		pkg: "agent/source/...", ours: []string{"queue", "agent/..."}, outside: []string{anything},
		never: []string{bbolt, paho, cobra}, logs: true,
	},
	{
		pkg: "agent/...", ours: []string{"queue", "agent/..."}, outside: []string{anything},
		never: []string{bbolt, paho, cobra, serial, pty}, logs: true,
		tests: []string{"queue/...", "gsmnet/...", "mqttconn/...", "internal/browser"},
	},
	{
		pkg: "internal/uplink", ours: []string{"queue", "gsmnet/...", "mqttconn", "agent/..."}, outside: []string{anything},
		never: []string{bbolt, paho, cobra, serial, pty}, logs: true,
	},
	{
		pkg: "internal/device", ours: []string{"queue", "gsmnet/...", "mqttconn", "agent/...", "internal/uplink"}, outside: []string{anything},
		never: []string{bbolt, paho, cobra, serial, pty}, logs: true,
	},
	{pkg: "cmd/agent/...", ours: []string{anything}, outside: []string{anything}, logs: true},
	{pkg: "internal/...", ours: []string{anything}, outside: []string{anything}, logs: true},
	{pkg: "scripts/...", logs: true},
}

// loggers are the ways to write a log that a package without logs may not use.
var loggers = []string{"log", "log/slog", "github.com/rs/zerolog/..."}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		r, ok := ruleFor(p.path)
		if !ok {
			t.Errorf("package %s has no row in the table of import rules (rules in internal/tree/imports_test.go): add one, or move it", p.path)
			continue
		}
		var files []file
		for _, name := range p.sources {
			files = append(files, file{name: filepath.Join(p.path, name), imports: importsOf(t, filepath.Join(p.dir, name))})
		}
		for _, breach := range r.breaches(files) {
			t.Error(breach)
		}
		for _, name := range p.tests {
			f := file{name: filepath.Join(p.path, name), imports: importsOf(t, filepath.Join(p.dir, name))}
			if breach := r.testBreach(p.path, f); breach != "" {
				t.Error(breach)
			}
		}
	}
}

// The rules have to notice what they forbid.
func TestImportRulesFindBreaches(t *testing.T) {
	of := func(name, path string) file { return file{name: name, imports: []string{path}} }
	for _, test := range []struct {
		pkg   string
		files []file
		want  string // part of the only breach; empty if there is none
	}{
		{"queue", []file{of("queue/a.go", bbolt), of("queue/b.go", "os")}, ""},
		{"queue", []file{of("queue/a.go", module+"/gsmnet")}, "queue/a.go imports gsmnet"},
		{"queue", []file{of("queue/a.go", paho)}, "queue/a.go imports " + paho},
		{"queue", []file{of("queue/a.go", bbolt+"x")}, "queue/a.go imports " + bbolt + "x"},
		{"queue", []file{of("queue/a.go", "log/slog")}, "writes a log"},
		{"gsmnet", []file{of("gsmnet/port.go", serial), of("gsmnet/pin.go", gpio)}, ""},
		{"gsmnet", []file{of("gsmnet/a.go", serial), of("gsmnet/b.go", serial+"/enumerator")}, "gsmnet/a.go, gsmnet/b.go"},
		{"gsmnet", []file{of("gsmnet/a.go", module+"/gsmnet/gsmsim")}, "gsmnet/a.go imports gsmnet/gsmsim"},
		{"gsmnet/at", []file{of("gsmnet/at/a.go", serial)}, "gsmnet/at/a.go imports " + serial},
		{"agent/web", []file{of("agent/web/a.go", "github.com/rs/zerolog")}, ""},
		{"agent/web", []file{of("agent/web/a.go", module+"/mqttconn")}, "agent/web/a.go imports mqttconn"},
		{"agent", []file{of("agent/a.go", paho+"/packets")}, "agent/a.go imports " + paho},
		{"agent/source", []file{of("agent/source/a.go", serial)}, ""},
		{"cmd/agent", []file{of("cmd/agent/a.go", module+"/mqttconn")}, ""},
	} {
		r, ok := ruleFor(test.pkg)
		if !ok {
			t.Fatalf("no rule for %s", test.pkg)
		}
		got := r.breaches(test.files)
		switch {
		case test.want == "" && len(got) > 0:
			t.Errorf("%s: %v breaks a rule: %q", test.pkg, test.files, got)
		case test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)):
			t.Errorf("%s: got %q for %v, want one breach with %q", test.pkg, got, test.files, test.want)
		}
	}
	if _, ok := ruleFor("helpers"); ok {
		t.Error("a package that nobody thought of has a rule")
	}
	r, _ := ruleFor("gsmnet")
	if got := r.testBreach("gsmnet", of("gsmnet/a_test.go", module+"/gsmnet/gsmsim")); got != "" {
		t.Errorf("tests of gsmnet may use the simulated module: %s", got)
	}
	if got := r.testBreach("gsmnet", of("gsmnet/a_test.go", module+"/queue")); got == "" {
		t.Error("a test of gsmnet that imports queue was not noticed")
	}
}

// file is a source file by its name in the tree, and what it imports.
type file struct {
	name    string
	imports []string
}

func ruleFor(pkg string) (rule, bool) {
	for _, r := range rules {
		if matches(r.pkg, pkg) {
			return r, true
		}
	}
	return rule{}, false
}

// breaches returns a sentence for each import that the rule forbids.
func (r rule) breaches(files []file) []string {
	var out []string
	for _, f := range files {
		for _, path := range f.imports {
			if b := r.breach(f.name, path); b != "" {
				out = append(out, b)
			}
		}
	}
	for _, single := range r.oneFile {
		var users []string
		for _, f := range files {
			if slices.ContainsFunc(f.imports, func(path string) bool { return matches(single+"/...", path) }) {
				users = append(users, f.name)
			}
		}
		if len(users) > 1 {
			out = append(out, fmt.Sprintf("%s: only one file may import %s", strings.Join(users, ", "), single))
		}
	}
	return out
}

func (r rule) breach(file, path string) string {
	own, isOurs := strings.CutPrefix(path, module+"/")
	switch {
	case !r.logs && matchesAny(loggers, path):
		return fmt.Sprintf("%s imports %s: %s returns errors and never writes a log", file, path, r.pkg)
	case isOurs && !matchesAny(r.ours, own):
		return fmt.Sprintf("%s imports %s: of this module %s may import %s", file, own, r.pkg, only(r.ours))
	case isOurs, isStandard(path):
		return ""
	case matchesAny(below(r.never), path):
		return fmt.Sprintf("%s imports %s: %s may import anything from outside but that", file, path, r.pkg)
	case !matchesAny(below(r.outside), path):
		return fmt.Sprintf("%s imports %s: from outside %s may import %s", file, path, r.pkg, only(r.outside))
	}
	return ""
}

// testBreach judges a test file of a package: it may import its own package, what that may import, and what tests may.
func (r rule) testBreach(pkg string, f file) string {
	allowed := slices.Concat([]string{pkg}, r.ours, r.tests)
	for _, path := range f.imports {
		if own, isOurs := strings.CutPrefix(path, module+"/"); isOurs && !matchesAny(allowed, own) {
			return fmt.Sprintf("%s imports %s: of this module tests of %s may import %s", f.name, own, pkg, only(allowed))
		}
	}
	return ""
}

func only(patterns []string) string {
	if len(patterns) == 0 {
		return "nothing"
	}
	return "only " + strings.Join(patterns, ", ")
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") || matches("golang.org/x/sys/...", path)
}

// below widens module paths to all packages of the modules.
func below(modules []string) []string {
	var out []string
	for _, m := range modules {
		if m != anything {
			m += "/..."
		}
		out = append(out, m)
	}
	return out
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

func matches(pattern, path string) bool {
	if pattern == anything {
		return true
	}
	root, all := strings.CutSuffix(pattern, "/...")
	return path == root || all && strings.HasPrefix(path, root+"/")
}

type pkg struct {
	path, dir      string // path within the module
	sources, tests []string
}

// packages asks the go command for the packages of this module, with the files for other platforms too. Imports that
// lead nowhere (-e) are the compiler's to report.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errorText(err))
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath, Dir                                              string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		this := pkg{path: strings.TrimPrefix(p.ImportPath, module+"/"), dir: p.Dir}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				this.tests = append(this.tests, name)
			} else {
				this.sources = append(this.sources, name)
			}
		}
		list = append(list, this)
	}
	if len(list) == 0 {
		t.Fatal("go list names no package")
	}
	return list
}

func errorText(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return string(exit.Stderr)
	}
	return ""
}

func importsOf(t *testing.T, path string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range parsed.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}
