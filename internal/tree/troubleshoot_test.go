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
// wrong with the configuration or the command line is not among them: it is told with its place and its remedy.
var sayingFiles = []string{
	"gsmnet/bringup.go", "gsmnet/dial.go", "gsmnet/network.go", "gsmnet/pdp.go", "gsmnet/sim.go", "gsmnet/reset.go", "gsmnet/restart.go",
	"gsmnet/urc.go", "gsmnet/port.go", "gsmnet/gpio_linux.go", "gsmnet/loop.go", "gsmnet/socket.go", "gsmnet/storm.go",
	"mqttconn/errors.go", "mqttconn/certificate.go", "mqttconn/mixup.go", "agent/sysnet/dial.go", "agent/verdict.go", "agent/passed.go", "agent/account.go",
	"agent/source/listen.go", "agent/source/serialport.go", "agent/source/process.go", "agent/source/users.go",
	"agent/web/control/error.go", "agent/web/control/rights.go", "queue/errors.go", "queue/recover.go", "queue/store.go", "queue/lock.go", "cmd/agent/doctor.go",
}

// shortestSentence is in words: what is shorter is a part of one, or wraps another error.
const shortestSentence = 4

// noSentences are what is attempted when something goes wrong, which stands in front of an error, and parts of a sentence that has its heading.
var noSentences = []string{
	"set up the context", "open the serial port", "get the SIM ready", "given up by the caller", "it was asked for", "let EMERG_OFF go", "restarted by this program", "never … since the start", "learned: … was too long",
	"all but alarms waits", "… of … MB this month", "until the clock is set and a new month has begun", "datagrams have no bounds in transparent mode: use command mode",
}

// TestEveryErrorHasItsHeading wants docs/troubleshoot.md to name each sentence as it is printed, with … for what varies.
func TestEveryErrorHasItsHeading(t *testing.T) {
	page := headings(read(t, "docs/troubleshoot.md"))
	said := sentences(t)
	count := 0
	for text, file := range said {
		if len(words.FindAllString(text, -1)) < shortestSentence || slices.Contains(noSentences, text) {
			continue
		}
		if count++; page[text] == "" {
			t.Errorf("docs/troubleshoot.md has no heading, or nothing below it: %s\n### %s", file, text)
		}
	}
	for text := range page {
		if said[text] == "" {
			t.Errorf("docs/troubleshoot.md: no code says %q any more", text)
		}
	}
	if count < 100 {
		t.Errorf("%d sentences found: that can't be all", count)
	}
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

// sentences returns what is said, each with the file that says it.
func sentences(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, pattern := range sayingFiles {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no file %s: %v", pattern, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, text := range literals(t, file) {
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
	wrapped = regexp.MustCompile(`^((source|control|queue|sysnet|gsmnet|mqttconn|…|…: …): )+|(: …|: | \(….*\))+$`)
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
