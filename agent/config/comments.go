package config

import (
	"regexp"
	"strings"
)

// The lines of the commented configuration. What a person can switch on stands behind a # there.
var (
	keyLine      = regexp.MustCompile(`^( *)(#?)( *)(- )?([a-z][a-z0-9_]*):(?: +(.*))?$`)
	commentLine  = regexp.MustCompile(`^ *# ?(.*)$`)
	trailing     = regexp.MustCompile(`(?:^| )# +(.*)$`)
	commonLine   = regexp.MustCompile(`^ *# {3}([a-z_]+): (?:"[^"]*"|\S+) {2,}(.*)$`)
	continuation = regexp.MustCompile(`^ *# {12,}(.*)$`)
)

// comments reads what the commented configuration says of each key and section, so that a key is described in one place
// only. Elements of lists have the path of their list and "[]". What is said of a key of several lists at once goes to
// each of them that says nothing itself.
func comments(text string, isList func(path string) bool) (described, common map[string]string) {
	described, common = make(map[string]string), make(map[string]string)
	type level struct {
		column int
		path   string
	}
	var stack []level
	var above []string
	last := "" // of the common keys
	for line := range strings.SplitSeq(text, "\n") {
		if m := commonLine.FindStringSubmatch(line); m != nil {
			last, common[m[1]] = m[1], m[2]
			continue
		}
		if m := continuation.FindStringSubmatch(line); m != nil && last != "" {
			common[last] += " " + m[1]
			continue
		}
		last = ""
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			if m := commentLine.FindStringSubmatch(line); m != nil {
				above = append(above, m[1])
			} else {
				above = nil
			}
			continue
		}
		column := len(m[1]) + len(m[3]) + len(m[4])
		for len(stack) > 0 && stack[len(stack)-1].column >= column {
			stack = stack[:len(stack)-1]
		}
		section := ""
		if len(stack) > 0 {
			if section = stack[len(stack)-1].path; isList(section) {
				section += "[]"
			}
		}
		path := join(section, m[5])
		stack = append(stack, level{column, path})
		said := strings.Join(above, " ")
		if t := trailing.FindStringSubmatch(m[6]); t != nil {
			said = t[1]
		}
		if described[path] == "" {
			described[path] = said
		}
		above = nil
	}
	return described, common
}
