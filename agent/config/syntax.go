package config

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxUnreadable is how many unreadable lines are passed over: who has more of them has the wrong file.
const maxUnreadable = 10

// parse reads the file as YAML and reports what is none. The parser stops at the first mistake; where that concerns only
// its own line, the line is left out and the rest is read all the same, so that a person sees all mistakes at once. whole
// tells that nothing was left out.
func (l *loader) parse() (file *ast.File, whole bool) {
	lines := append([]string(nil), l.lines...)
	if at := tooDeep(strings.Join(lines, "\n")); at != nil {
		l.problems = append(l.problems, Problem{File: l.name, Line: at.Line, Column: at.Column, // without the line, which may be endless
			Message: "not valid YAML: brackets or dashes are nested too deeply", Hint: "close those that were opened before"})
		return &ast.File{}, false
	}
	for range maxUnreadable {
		file, err := parser.ParseBytes([]byte(strings.Join(lines, "\n")), 0)
		if err == nil {
			return file, len(l.problems) == 0
		}
		var syntax yaml.Error
		if !errors.As(err, &syntax) {
			l.report(Problem{Message: "not valid YAML: " + err.Error()})
			break
		}
		at := syntax.GetToken().Position
		message, hint, ownLine := unreadableLine(syntax.GetMessage())
		l.reportAt(at.Line, at.Column, Problem{Message: "not valid YAML: " + message, Hint: hint})
		if !ownLine || at.Line < 1 || at.Line > len(lines) || lines[at.Line-1] == "" {
			break
		}
		lines[at.Line-1] = ""
	}
	return &ast.File{}, false
}

// maxNesting is far beyond what a configuration needs. The parser's memory grows with the square of the nesting: without a bound a
// file of half a megabyte takes more than any machine has.
const maxNesting = 32

// tooDeep returns where brackets, or dashes on one line, are nested beyond maxNesting; nil: nowhere. What is nested by indentation
// is bounded by the size of the file.
func tooDeep(text string) *token.Position {
	brackets, dashes, line := 0, 0, 0
	for _, t := range lexer.Tokenize(text) {
		if t.Position.Line != line {
			line, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(brackets-1, 0)
		case token.SequenceEntryType:
			dashes++
		}
		if brackets > maxNesting || dashes > maxNesting {
			return t.Position
		}
	}
	return nil
}

// unreadableLine explains the parser's message; ownLine tells that the lines around can be read without this one.
func unreadableLine(message string) (text, hint string, ownLine bool) {
	switch {
	case strings.Contains(message, "'\t'"):
		return "a line begins with a tab", "indent with spaces, YAML doesn't take tabs", true
	case strings.Contains(message, "already defined"):
		return message, "keep one of the two", true
	case strings.Contains(message, "reserved character"), strings.Contains(message, "cannot start any token"):
		return message, "put the value between quotes", true
	case strings.Contains(message, "could not find end character"):
		return message, "close the quotes on the same line", true
	}
	return message, "check the indentation, the space after each colon, and the quotes of this line and the one before", false
}
