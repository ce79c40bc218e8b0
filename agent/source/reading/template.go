package reading

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A Template is a topic with names in braces that stand for what a set brings
// along.
type Template struct {
	text  string
	parts []part
}

type part struct {
	literal string
	name    string // if not empty, what stands in place of the literal
}

// FieldName stands for the name of a value.
const FieldName = "field"

// ParseTemplate takes a template apart. Which names have a meaning depends on
// the source: see Names.
func ParseTemplate(text string) (Template, error) {
	t := Template{text: text}
	for rest := text; rest != ""; {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			t.parts = append(t.parts, part{literal: rest})
			break
		}
		end := strings.IndexByte(rest[open:], '}')
		if rest[open] == '}' || end < 0 {
			return Template{}, fmt.Errorf("reading: %q has a brace without its other half: a name stands between { and }", text)
		}
		name := rest[open+1 : open+end]
		if name == "" || strings.Contains(name, "{") {
			return Template{}, fmt.Errorf("reading: %q has braces without a name between them", text)
		}
		if open > 0 {
			t.parts = append(t.parts, part{literal: rest[:open]})
		}
		t.parts = append(t.parts, part{name: name})
		rest = rest[open+end+1:]
	}
	return t, nil
}

// String returns the template's text.
func (t Template) String() string { return t.text }

// Names returns what stands between braces.
func (t Template) Names() []string {
	var names []string
	for _, p := range t.parts {
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	return names
}

// splits reports whether each field has a topic of its own.
func (t Template) splits() bool { return slices.Contains(t.Names(), FieldName) }

// expand fills in what look returns for each name.
func (t Template) expand(look func(name string) string) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.name == "" {
			b.WriteString(p.literal)
			continue
		}
		value := look(p.name)
		if value == "" {
			return "", fmt.Errorf("reading: the topic needs {%s}, which this reading doesn't have", p.name)
		}
		b.WriteString(strings.Map(level, value))
	}
	return b.String(), nil
}

// level keeps to what one level of a topic may hold.
func level(r rune) rune {
	if r == '/' || r == '+' || r == '#' || unicode.IsControl(r) || r == unicode.ReplacementChar {
		return '_'
	}
	return r
}
