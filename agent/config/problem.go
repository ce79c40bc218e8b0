package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration.
type Problem struct {
	File     string `json:"file,omitempty"`     // "" if the value doesn't come from a file
	Line     int    `json:"line,omitempty"`     // counted from 1; 0 if unknown
	Column   int    `json:"column,omitempty"`   // in characters, counted from 1; 0 if unknown
	Variable string `json:"variable,omitempty"` // the environment variable that the value comes from
	Key      string `json:"key,omitempty"`      // such as "queue.max_bytes"
	Source   string `json:"source,omitempty"`   // the line of the file, secrets masked
	Message  string `json:"message"`            // what is wrong
	Hint     string `json:"hint,omitempty"`     // what to do about it, if the message doesn't say so

	limits *limits // what would have been taken; nil if that can't be said in a few values
}

// where names the place for the first line of the report.
func (p Problem) where() string {
	switch {
	case p.Variable != "":
		return p.Variable
	case p.Line > 0:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	return p.File
}

// String returns the problem as a person reads it: place and message, then the
// line with a caret below it, then the hint.
func (p Problem) String() string {
	var b strings.Builder
	if at := p.where(); at != "" {
		fmt.Fprintf(&b, "%s: ", at)
	}
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	b.WriteString(p.Message)
	if p.Line > 0 {
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s^", p.Line, p.Source, indent(p.Source, p.Column))
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "\n      = %s", p.Hint)
	}
	return b.String()
}

// indent returns what moves a caret below the given column of line. Tabs stay
// tabs, because only the terminal knows how wide they are.
func indent(line string, column int) string {
	var b strings.Builder
	for _, r := range line {
		if column--; column <= 0 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Error is what Load and Parse return for a configuration that can't be used:
// all of its problems, in the order of the file.
type Error struct {
	Problems []Problem
}

// Error returns all problems, one below the other.
func (e *Error) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	return "config: " + strings.Join(texts, "\n")
}

// Unusable says that what a key names can't be used: a file that isn't there or holds something else.
type Unusable struct {
	Key string // with what it names, where that tells more
	Err error
}

func (u *Unusable) Error() string { return u.Key + ": " + u.Err.Error() }

func (u *Unusable) Unwrap() error { return u.Err }

// sorted orders problems as a reader of the file meets them; those without a
// place come last.
func sorted(problems []Problem) []Problem {
	place := func(p Problem) int {
		if p.Line == 0 {
			return 1 << 30
		}
		return p.Line
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Column, b.Column))
	})
	return problems
}

// A line is quoted in errors, which end up in logs and in tickets. What stands
// after a key that sounds like a secret is masked, misspelt keys included;
// "password_file: /etc/x" names only a path and stays.
var (
	secretKey   = regexp.MustCompile(`(?i)([a-z_]*(?:pas|pin|tok|secret)[a-z_]*)["']?\s*:\s*`)
	secretInURL = regexp.MustCompile(`//[^/\s]*@`)
)

func redactLine(line string) string {
	for _, m := range secretKey.FindAllStringSubmatchIndex(line, -1) {
		name, value := line[m[2]:m[3]], line[m[1]:]
		if strings.HasSuffix(name, "_file") || value == "" || value[0] == '#' {
			continue
		}
		line = line[:m[1]] + mask
		break
	}
	return redactURL(line)
}

func redactURL(text string) string {
	return secretInURL.ReplaceAllString(text, "//"+mask+"@")
}
