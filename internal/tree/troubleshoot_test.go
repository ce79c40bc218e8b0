package tree_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sayingFiles are where the sentences are made that status, doctor, the page and the log show to an operator: patterns of files. What is
// wrong with the command line is not among them: it is told with its remedy.
var sayingFiles = []string{
	"gsmnet/bringup.go", "gsmnet/dial.go", "gsmnet/network.go", "gsmnet/pdp.go", "gsmnet/sim.go", "gsmnet/reset.go", "gsmnet/restart.go",
	"gsmnet/urc.go", "gsmnet/port.go", "gsmnet/gpio_linux.go", "gsmnet/loop.go", "gsmnet/socket.go", "gsmnet/storm.go",
	"mqttconn/errors.go", "mqttconn/certificate.go", "mqttconn/mixup.go", "agent/sysnet/dial.go", "agent/verdict.go", "agent/passed.go", "agent/account.go",
	"agent/source/*.go", "agent/source/reading/*.go", "agent/source/registers/*.go", "agent/source/sysfs/*.go",
	"agent/web/control/error.go", "agent/web/control/rights.go", "queue/errors.go", "queue/recover.go", "queue/store.go", "queue/lock.go", "queue/readonly.go", "cmd/agent/doctor.go",
}

// configFiles are where the sentences about the configuration are made, each of which is told with its place and often a hint.
var configFiles = []string{"agent/config/*.go"}

// configSection is the part of the page with the headings for those: a heading stands for a family, since … in it stands for any words.
const configSection = "## The configuration file"

// shortestSentence is in words: what is shorter is a part of one, or wraps another error.
const shortestSentence = 4

// noSentences are what is attempted when something goes wrong, which stands in front of an error, and parts of a sentence that has its heading.
var noSentences = []string{
	"set up the context", "open the serial port", "get the SIM ready", "given up by the caller", "it was asked for", "let EMERG_OFF go", "restarted by this program", "never … since the start", "learned: … was too long",
	"all but alarms waits", "… of … MB this month", "until the clock is set and a new month has begun", "datagrams have no bounds in transparent mode: use command mode",
	"exec needs a Command", "… needs a Sink and a Name", "HTTP needs a Sink and an Address", "MQTT needs a Sink and an Address", "serial needs a Port",
	"sysfs needs an Interval", "tail needs a Store and a Path", "modbus needs either an Address or a Bus, and an Interval, a Timeout and Registers",
	// What an HTTP client is told to do, beside what is wrong.
	"send the body as it is", "use POST /v1/messages/TOPIC", "correct it; it would be refused again", "send less at a time, or raise limits.max_payload",
	"send it with Content-Type: application/x-ndjson", "send it from a program", "address it by its IP address", "keep it and try again",
	"send it again after Retry-After seconds, or raise limits.client_messages and limits.client_bytes",
	"keep it and try again when the link has drained the queue", "send the header Authorization: Bearer TOKEN with the token of sources.http",
	// Hints, and parts of a message.
	"use at most … letters, digits, '-', '_' and '.', since it becomes part of topics", "name the value with letters, digits, '-', '_' and '.'",
	"/sys/bus/iio/devices", "/sys/bus/w1/devices", "a reply that can't be written", "did you mean …? It stands in another section",
}

// TestEveryErrorHasItsHeading wants docs/troubleshoot.md to name each sentence as it is printed, with … for what varies, or a family of
// them with … for all that is not the same.
func TestEveryErrorHasItsHeading(t *testing.T) {
	before, rest, found := strings.Cut(read(t, "docs/troubleshoot.md"), configSection)
	if !found {
		t.Fatalf("docs/troubleshoot.md has no %q", configSection)
	}
	about, after, _ := strings.Cut(rest, "\n## ")
	checkHeadings(t, headings(before+"\n## "+after), sentences(t, sayingFiles, literals), 180)
	checkHeadings(t, headings(about), sentences(t, configFiles, problems), 100)
}

// checkHeadings compares a page with what is said; at least so many sentences have to be found.
func checkHeadings(t *testing.T, page, said map[string]string, least int) {
	t.Helper()
	used := make(map[string]bool)
	count := 0
	for text, file := range said {
		under := headingOf(page, text)
		for _, h := range under {
			used[h] = true
		}
		if len(words.FindAllString(text, -1)) < shortestSentence || slices.Contains(noSentences, text) {
			continue
		}
		if count++; !slices.ContainsFunc(under, func(h string) bool { return page[h] != "" }) {
			t.Errorf("docs/troubleshoot.md has no heading, or nothing below it: %s\n### %s", file, text)
		}
	}
	for text := range page {
		if !used[text] {
			t.Errorf("docs/troubleshoot.md: no code says %q any more", text)
		}
	}
	if count < least {
		t.Errorf("%d sentences found: that can't be all", count)
	}
}

// headingOf returns the headings that a sentence belongs to.
func headingOf(page map[string]string, text string) (under []string) {
	for h := range page {
		parts := strings.Split(h, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		if regexp.MustCompile("^" + strings.Join(parts, ".+") + "$").MatchString(text) {
			under = append(under, h)
		}
	}
	return under
}

// headings returns the page's headings of the third level with the text below each; headings in a row share theirs.
func headings(page string) map[string]string {
	found := make(map[string]string)
	var open []string
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch text, ok := strings.CutPrefix(line, "### "); {
		case ok:
			if len(open) > 0 && found[open[0]] != "" {
				open = nil
			}
			open = append(open, text)
			found[text] = ""
		case strings.HasPrefix(line, "#"):
			open = nil
		case line != "":
			for _, h := range open {
				found[h] += line
			}
		}
	}
	return found
}

// sentences returns what is said in files, each with the file that says it.
func sentences(t *testing.T, patterns []string, of func(*testing.T, string) []string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, pattern := range patterns {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s: %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, text := range of(t, file) {
				found[sentence(text)] = strings.TrimPrefix(file, "../../")
			}
		}
	}
	return found
}

var (
	words = regexp.MustCompile(`[\pL\d][\pL\d'+,=-]*`)
	verb  = regexp.MustCompile(`%[-+# .0-9]*[a-zA-Z]`)
	// A wrapped cause varies; so does a name in front.
	wrapped = regexp.MustCompile(`^((source|reading|registers|sysfs|control|queue|sysnet|gsmnet|mqttconn|…|…: …): )+|(: …|: | \(….*\))+$`)
)

// sentence is a literal as the page names it.
func sentence(literal string) string {
	text := wrapped.ReplaceAllString(verb.ReplaceAllString(literal, "…"), "")
	return strings.TrimSpace(text)
}

// literals are the strings that a file makes errors of, returns as advice, or keeps as constants and in tables.
func literals(t *testing.T, file string) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	take := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				e = kv.Value
			}
			if text, ok := literal(t, e); ok {
				texts = append(texts, text)
			}
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if slices.Contains([]string{"fail", "New", "Errorf", "Sprintf", "join"}, called(n)) {
				take(n.Args...)
			}
		case *ast.ReturnStmt:
			take(n.Results...)
		case *ast.AssignStmt:
			take(n.Rhs...)
		case *ast.ValueSpec:
			take(n.Values...)
		case *ast.CompositeLit:
			if of, ok := n.Type.(*ast.MapType); ok && len(n.Elts) > 0 {
				if _, ok := of.Value.(*ast.Ident); ok {
					take(n.Elts...)
				}
			}
		}
		return true
	})
	return texts
}

// problems are the strings that a file of package config makes the messages of problems of; what is a key or a hint is none.
func problems(t *testing.T, file string) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	take := func(e ast.Expr) {
		if text, ok := literal(t, e); ok {
			texts = append(texts, text)
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			switch name := called(n); {
			case name == "fail" && len(n.Args) >= 3: // key, hint, format
				take(n.Args[2])
			case name == "fail" || name == "Errorf" || name == "New":
				take(n.Args[0])
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Message" {
				if call, ok := n.Value.(*ast.CallExpr); ok && called(call) == "Sprintf" {
					take(call.Args[0])
				} else {
					take(n.Value)
				}
			}
		}
		return true
	})
	return texts
}

// literal is a string as it is written; what is joined to it and varies is an ellipsis.
func literal(t *testing.T, e ast.Expr) (text string, ok bool) {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		return text, true
	case *ast.BinaryExpr:
		left, isLeft := literal(t, e.X)
		right, isRight := literal(t, e.Y)
		if e.Op != token.ADD || !isLeft && !isRight {
			return "", false
		}
		if !isLeft {
			left = "…"
		}
		if !isRight {
			right = "…"
		}
		return left + right, true
	}
	return "", false
}

// called is the name of the function that is called.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// The check has to notice what it is for.
func TestSentencesAndHeadingsAreFound(t *testing.T) {
	page := headings("## a\n### one\n### two\nWhat to do.\n### three\n## b\nelsewhere\n")
	if page["one"] == "" || page["two"] == "" || page["three"] != "" {
		t.Errorf("got %q, want the text for one and two, and none for three", page)
	}
	if got := headingOf(map[string]string{"is missing: …": "", "… of them": "", "is": ""}, "is missing: write it"); len(got) != 1 || got[0] != "is missing: …" {
		t.Errorf("a sentence of a family: got %q, want that of what is missing", got)
	}
	for literal, want := range map[string]string{
		"queue: lock %s: %w; it needs more":     "lock …: …; it needs more",
		"source: %s: %s is in use: stop it: %w": "… is in use: stop it",
		"gsmnet: a write hangs in the driver":   "a write hangs in the driver",
	} {
		if got := sentence(literal); got != want {
			t.Errorf("%q becomes %q, want %q", literal, got, want)
		}
	}
}
