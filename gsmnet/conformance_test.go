package gsmnet_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rulesOf is how many rules each chapter of the guide has.
var rulesOf = map[int]int{2: 13, 3: 7, 4: 9, 5: 5, 6: 7, 7: 4, 8: 5, 9: 4}

// TestGuideConformance reads docs/guide-conformance.md: every rule has one row, whose code and tests exist, and one of the tests
// names it.
func TestGuideConformance(t *testing.T) {
	page, err := os.ReadFile("../docs/guide-conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		id := strings.TrimSpace(cells[0])
		if !regexp.MustCompile(`^G\d\.\d+$`).MatchString(id) {
			continue
		}
		if rows[id] != nil {
			t.Errorf("%s stands there twice", id)
		}
		rows[id] = cells
	}
	tests := testFunctions(t)
	count := 0
	for chapter, n := range rulesOf {
		for i := range n {
			id := fmt.Sprintf("G%d.%d", chapter, i+1)
			count++
			cells := rows[id]
			if len(cells) != 5 {
				t.Errorf("%s: no row of five cells", id)
				continue
			}
			checkCode(t, id, cells[2])
			checkTests(t, id, cells[3], tests)
			for _, i := range []int{1, 4} {
				if strings.TrimSpace(cells[i]) == "" {
					t.Errorf("%s: an empty cell", id)
				}
			}
		}
	}
	if len(rows) != count {
		t.Errorf("%d rows, want %d: one has an id that there isn't", len(rows), count)
	}
}

// quoted are the parts of a cell between backquotes.
func quoted(cell string) []string {
	var parts []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		parts = append(parts, m[1])
	}
	return parts
}

// checkCode looks for "file: function" in the sources.
func checkCode(t *testing.T, id, cell string) {
	t.Helper()
	places := quoted(cell)
	if len(places) == 0 {
		t.Errorf("%s: no code", id)
	}
	for _, place := range places {
		file, name, _ := strings.Cut(place, ": ")
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		found := false
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			found = found || ok && fn.Name.Name == name
		}
		if !found {
			t.Errorf("%s: %s has no function %s", id, file, name)
		}
	}
}

// checkTests looks for the tests and dialogues of a row, and for the id in one of them: in its name, its comment or its cases.
func checkTests(t *testing.T, id, cell string, tests map[string]string) {
	t.Helper()
	mention := regexp.MustCompile(strings.ReplaceAll(id, ".", "[._]") + `([^0-9]|$)`)
	named := false
	for _, name := range quoted(cell) {
		text, ok := tests[name]
		if strings.HasPrefix(name, "testdata/") {
			b, err := os.ReadFile(name)
			text, ok = name+"\n"+string(b), err == nil
		}
		if !ok {
			t.Errorf("%s: there is no test %s", id, name)
		}
		named = named || mention.MatchString(text)
	}
	if !named {
		t.Errorf("%s: none of its tests names it: %s", id, cell)
	}
}

// testFunctions are the tests of these packages, by name, with their comments and bodies.
func testFunctions(t *testing.T) map[string]string {
	tests := make(map[string]string)
	for _, pattern := range []string{"*_test.go", "at/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || !strings.HasPrefix(fn.Name.Name, "Test") {
					continue
				}
				begin := fn.Pos()
				if fn.Doc != nil {
					begin = fn.Doc.Pos()
				}
				tests[fn.Name.Name] = string(src[set.Position(begin).Offset:set.Position(fn.End()).Offset])
			}
		}
	}
	return tests
}
