package tree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// faultsOf is how many faults of each kind docs/faults.md lists.
var faultsOf = map[string]int{"FH": 13, "FC": 4, "FD": 10, "FL": 11, "FM": 25, "FB": 18, "FS": 6, "FO": 4}

// Every fault has one row, which names tests that exist; and a test that names a fault stands in its row.
func TestEveryFaultHasItsTest(t *testing.T) {
	page := read(t, "docs/faults.md")
	tests := namedTests(t)
	for _, problem := range faultProblems(page, tests) {
		t.Errorf("docs/faults.md: %s", problem)
	}
}

// The check has to notice what it is for.
func TestBrokenFaultRowsAreFound(t *testing.T) {
	page, tests := read(t, "docs/faults.md"), namedTests(t)
	row := regexp.MustCompile(`(?m)^\| FO4 \|.*\n`).FindString(page)
	for name, broken := range map[string]string{
		"missing":       strings.Replace(page, row, "", 1),
		"twice":         page + row,
		"unknown id":    page + strings.Replace(row, "FO4", "FO5", 1),
		"unknown test":  strings.Replace(page, row, strings.Replace(row, "`TestBudget`", "`TestNothing`", 1), 1),
		"no test":       strings.Replace(page, row, regexp.MustCompile("`[^`]+`").ReplaceAllString(row, ""), 1),
		"no such file":  strings.Replace(page, "testdata/FL8-echo.txt", "testdata/FL8.txt", 1),
		"test left out": strings.Replace(page, "`TestFM14_SIMRemovedAndPutBack`", "`TestBudget`", 1),
		"empty cell":    strings.Replace(page, "Only alarms go until the month is over; the status says so", "", 1),
	} {
		if got := faultProblems(broken, tests); len(got) == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func faultProblems(page string, tests map[string]bool) (problems []string) {
	fail := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	rows := make(map[string]string)
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		id := strings.TrimSpace(cells[0])
		if !regexp.MustCompile(`^F[A-Z]\d+$`).MatchString(id) {
			continue
		}
		if rows[id] != "" {
			fail("%s has two rows", id)
		}
		if len(cells) != 4 || slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "" }) {
			fail("%s: want four cells, none of them empty", id)
			continue
		}
		rows[id] = cells[3]
	}
	count := 0
	for kind, n := range faultsOf {
		for i := range n {
			count++
			if id := fmt.Sprint(kind, i+1); rows[id] == "" {
				fail("%s has no row", id)
			}
		}
	}
	if len(rows) > count {
		fail("%d rows, want %d: one has an id that there isn't", len(rows), count)
	}
	for id, cell := range rows {
		named := backquoted(cell)
		if len(named) == 0 {
			fail("%s names no test", id)
		}
		for _, name := range named {
			if !tests[name] {
				fail("%s: there is no test %s", id, name)
			}
		}
	}
	for name := range tests {
		for _, id := range regexp.MustCompile(`F[A-Z]\d+`).FindAllString(name, -1) {
			if !regexp.MustCompile(`(_|^Test|^testdata/|-)` + id + `[_-]`).MatchString(name) {
				continue
			}
			if cell := rows[id]; cell != "" && !slices.Contains(backquoted(cell), name) {
				fail("%s leaves out %s, which bears its name", id, name)
			}
		}
	}
	return problems
}

// What docs/security.md says is shown by tests too.
func TestEveryControlHasItsTest(t *testing.T) {
	tests, rows := namedTests(t), 0
	for line := range strings.Lines(read(t, "docs/security.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.TrimSpace(cells[0]) == "against" || strings.HasPrefix(cells[0], "-") {
			continue
		}
		rows++
		named := backquoted(cells[2])
		if len(named) == 0 {
			t.Errorf("docs/security.md: %q names no test", cells[0])
		}
		for _, name := range named {
			if !tests[name] {
				t.Errorf("docs/security.md: %q: there is no test %s", cells[0], name)
			}
		}
	}
	if rows < 20 {
		t.Errorf("%d rows found: that can't be all", rows)
	}
}

// backquoted are the parts of a cell between backquotes that name a test or a dialogue.
func backquoted(cell string) (names []string) {
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz|testdata/)[^`]*)`").FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

// namedTests are the tests and fuzz targets of the project, and the dialogues that gsmnet plays.
func namedTests(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, path := range tracked(t) {
		switch {
		case strings.HasPrefix(path, "gsmnet/testdata/"):
			found[strings.TrimPrefix(path, "gsmnet/")] = true
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(filepath.Join("../..", path))
			if os.IsNotExist(err) {
				continue // deleted, and not committed yet
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllSubmatch(text, -1) {
				found[string(m[1])] = true
			}
		}
	}
	if len(found) < 100 {
		t.Fatalf("%d tests found: that can't be all", len(found))
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
