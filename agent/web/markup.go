package web

import (
	"html"
	"strings"
)

// markup is HTML. Only text, el and void make it, and they escape: what comes from outside can't become a tag.
//
// A template engine finds fields and methods by reflection, because of which the linker keeps every method of every type
// in the program: that made the binary 2.4 MB larger.
type markup string

// attrs are names and values in turn.
type attrs []string

// text is s as a person is to read it.
func text(s string) markup { return markup(escape(s)) }

// el is an element with what it contains.
func el(name string, with attrs, content ...markup) markup {
	var b strings.Builder
	b.WriteString(string(void(name, with)))
	for _, c := range content {
		b.WriteString(string(c))
	}
	b.WriteString("</" + name + ">")
	return markup(b.String())
}

// void is an element that can't contain anything, such as meta.
func void(name string, with attrs) markup {
	var b strings.Builder
	b.WriteString("<" + name)
	for i := 0; i+1 < len(with); i += 2 {
		b.WriteString(" " + with[i] + `="` + escape(with[i+1]) + `"`)
	}
	b.WriteString(">")
	return markup(b.String())
}

func escape(s string) string {
	return html.EscapeString(strings.ReplaceAll(s, "\x00", "\uFFFD")) // HTML has no NUL
}

// each makes markup of every element of a list.
func each[T any](list []T, make func(T) markup) markup {
	var b strings.Builder
	for _, v := range list {
		b.WriteString(string(make(v)))
	}
	return markup(b.String())
}

// when makes markup only of a text that isn't empty.
func when(s string, make func(string) markup) markup {
	if s == "" {
		return ""
	}
	return make(s)
}
